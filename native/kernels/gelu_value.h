// gelu(x) = x · Φ(x) of a vector, in the forms that keep relative accuracy in both tails.
#pragma once

#include "functions.h"

namespace nvila {
namespace NVILA_ISA {

// ½ (1 + tanh u) = 1 / (1 + e^(−2u)) with 2u = √(8/π) (x + 0.044715 x³).
struct GeluTanhValue {
  NVILA_INLINE F32 of(F32 v) {
    const F32 minus_2u = v * fma(v * v, splat(-0.0713548162726f), splat(-1.59576912161f));
    return v / (splat(1.0f) + exp(minus_2u));
  }
};

// Φ(−|x|) = ½ erfc(z) with z = |x| / √2. Beyond z = 20 it is 0; the bound keeps z² finite.
struct GeluErfValue {
  NVILA_INLINE F32 of(F32 v) {
    const F32 z = min(splat(20.0f), abs(v) * splat(0.707106781187f));
    const F32 tail = splat(0.5f) * exp(zero() - z * z) * scaled_erfc(z);
    return v * where_less(v, zero(), tail, splat(1.0f) - tail);
  }
};

}  // namespace NVILA_ISA
}  // namespace nvila
