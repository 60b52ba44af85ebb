// out = a + b. Bound by memory: one pass, no tricks.
#include "elementwise.h"

namespace nvila {
namespace NVILA_ISA {

Status add(ThreadPool& pool, float* out, const float* a, const float* b, int64_t n) {
  return map_pairs(pool, out, a, b, n, [](F32 u, F32 v) { return u + v; });
}

}  // namespace NVILA_ISA
}  // namespace nvila
