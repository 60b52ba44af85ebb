// out = gate / (1 + e^(−gate)) · up.
#include "elementwise.h"
#include "functions.h"

namespace nvila {
namespace NVILA_ISA {

Status swiglu(ThreadPool& pool, float* out, const float* gate, const float* up, int64_t n) {
  return map_pairs(pool, out, gate, up, n, [](F32 g, F32 u) { return g / (splat(1.0f) + exp(zero() - g)) * u; });
}

}  // namespace NVILA_ISA
}  // namespace nvila
