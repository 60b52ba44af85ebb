// target[rows[t]] = source[t], rows of C numbers.
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status scatter_rows(ThreadPool& pool, float* target, const int32_t* rows, const float* source, int64_t T, int64_t C) {
  const int64_t grain = larger(1, (1 << 15) / larger(C, 1));
  pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) std::memcpy(target + rows[t] * C, source + t * C, static_cast<size_t>(C) * sizeof(float));
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
