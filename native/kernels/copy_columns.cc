// Columns [column, column + C) of out[T, width] = x[T, C]; one call per part puts parts side by side.
#include <cstring>

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status copy_columns(ThreadPool& pool, float* out, const float* x, int64_t T, int64_t C, int64_t width, int64_t column) {
  const int64_t grain = larger(1, (1 << 14) / larger(C, 1));
  pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) std::memcpy(out + t * width + column, x + t * C, static_cast<size_t>(C) * sizeof(float));
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
