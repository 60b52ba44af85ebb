// gelu(x) = x · Φ(x) of every element (gelu_value.h).
#include "elementwise.h"
#include "gelu_value.h"

namespace nvila {
namespace NVILA_ISA {

Status gelu_tanh(ThreadPool& pool, float* out, const float* x, int64_t n) {
  return map_elements(pool, out, x, n, [](F32 v) { return GeluTanhValue::of(v); });
}

Status gelu_erf(ThreadPool& pool, float* out, const float* x, int64_t n) {
  return map_elements(pool, out, x, n, [](F32 v) { return GeluErfValue::of(v); });
}

}  // namespace NVILA_ISA
}  // namespace nvila
