// out = a + b. Memory bound: one pass, no tricks.
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status add(ThreadPool& pool, float* out, const float* a, const float* b, int64_t n) {
  constexpr int64_t kGrain = 1 << 14;
  pool.parallel_for(n, kGrain, [&](int64_t begin, int64_t end, int) {
    int64_t i = begin;
    for (; i + F32::width <= end; i += F32::width) store(out + i, load(a + i) + load(b + i));
    for (; i < end; i++) out[i] = a[i] + b[i];
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
