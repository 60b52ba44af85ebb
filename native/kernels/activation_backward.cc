// Derivatives of functions of one element, and sums of two arrays.
#include "backward.h"
#include "elementwise.h"
#include "functions.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Beyond this the derivative's last term is 0; the bound keeps its factors finite. NaN stays.
NVILA_INLINE F32 within(F32 x, float limit) { return max(splat(-limit), min(splat(limit), x)); }

// σ + x · 2 σ (1 − σ) · u' with σ = 1 / (1 + e^(−2u)), u = √(2/π) (x + 0.044715 x³).
NVILA_INLINE F32 tanh_slope(F32 value) {
  const F32 x = within(value, 20.0f);
  const F32 square = x * x;
  const F32 minus_2u = x * fma(square, splat(-0.0713548162726f), splat(-1.59576912161f));
  const F32 s = splat(1.0f) / (splat(1.0f) + exp(minus_2u));
  const F32 slope = fma(square, splat(0.2140644488178f), splat(1.59576912161f));  // 2 u'
  return fma(x * slope * s, splat(1.0f) - s, s);
}

// Φ(x) + x φ(x).
NVILA_INLINE F32 erf_slope(F32 value) {
  const F32 x = within(value, 28.0f);
  const F32 z = min(splat(20.0f), abs(x) * splat(0.707106781187f));
  const F32 density = exp(zero() - z * z);
  const F32 tail = splat(0.5f) * density * scaled_erfc(z);
  return fma(x * splat(0.398942280401f), density, where_less(x, zero(), tail, splat(1.0f) - tail));
}

}  // namespace

Status accumulate(ThreadPool& pool, float* target, const float* source, int64_t n) {
  return map_pairs(pool, target, target, source, n, [](F32 a, F32 b) { return a + b; });
}

Status gelu_tanh_backward(ThreadPool& pool, float* dx, const float* dy, const float* x, int64_t n) {
  return map_pairs(pool, dx, dy, x, n, [](F32 g, F32 v) { return g * tanh_slope(v); });
}

Status gelu_erf_backward(ThreadPool& pool, float* dx, const float* dy, const float* x, int64_t n) {
  return map_pairs(pool, dx, dy, x, n, [](F32 g, F32 v) { return g * erf_slope(v); });
}

Status swiglu_backward(ThreadPool& pool, float* d_gate, float* d_up, const float* dy, const float* gate, const float* up, int64_t n) {
  pool.parallel_for(n, kElementsPerChunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i += F32::width) {
      const int count = static_cast<int>(smaller(F32::width, end - i));
      const F32 g = load_first(gate + i, count), gradient = load_first(dy + i, count);
      const F32 sigmoid = splat(1.0f) / (splat(1.0f) + exp(zero() - g));
      const F32 silu = g * sigmoid;
      store_first(d_up + i, gradient * silu, count);
      store_first(d_gate + i, gradient * load_first(up + i, count) * fma(silu, splat(1.0f) - sigmoid, sigmoid), count);
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
