// out = gate / (1 + e^(−gate)) · up.
#include "elementwise.h"
#include "functions.h"

namespace nvila {
namespace NVILA_ISA {

Status swiglu(ThreadPool& pool, float* out, const float* gate, const float* up, int64_t n) {
  return map_pairs(pool, out, gate, up, n, swiglu_value);
}

}  // namespace NVILA_ISA
}  // namespace nvila
