// Functions of F32 that kernels share, beside exp2.h. NaN gives NaN.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

// e^x to 2e-7 of its value. Below −87.6 it is 0 (no subnormals), above 88.3 infinity.
// x = n · ln 2 + r with |r| ≤ ½ ln 2; e^r by its series to r^7 (the next term is 5e-9).
NVILA_INLINE F32 exp(F32 x) {
  // The variable is the second argument: min and max then keep NaN.
  x = max(splat(-88.0f), min(splat(89.0f), x));
  // Adding this rounds to an integer n, and leaves n + 127 in the low bits of the sum.
  const F32 magic = splat(12582912.0f + 127.0f);  // 1.5 · 2^23
  const F32 shifted = fma(x, splat(1.44269504f), magic);
  const F32 n = shifted - magic;
  // ln 2 in two parts; n times the first is exact.
  const F32 r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x));
  F32 p = splat(1.0f / 5040);
  p = fma(p, r, splat(1.0f / 720));
  p = fma(p, r, splat(1.0f / 120));
  p = fma(p, r, splat(1.0f / 24));
  p = fma(p, r, splat(1.0f / 6));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.0f));
  p = fma(p, r, splat(1.0f));
  return p * bits_to_exponent(shifted);
}

// silu(gate) · up.
NVILA_INLINE F32 swiglu_value(F32 gate, F32 up) { return gate / (splat(1.0f) + exp(zero() - gate)) * up; }

// e^(z²) · erfc(z) for z ≥ 0, to 4e-7 of its value: t · P(t) with t = 1 / (1 + 0.4 z). P is of degree 8 and was fitted to the
// relative error by reweighted least squares (Lawson 1961) on 0 ≤ z ≤ 53 against erfc's series and continued fraction; the fit
// itself is good to 1.3e-7.
NVILA_INLINE F32 scaled_erfc(F32 z) {
  const F32 t = splat(1.0f) / fma(z, splat(0.4f), splat(1.0f));
  F32 p = splat(0.050196726f);
  p = fma(p, t, splat(-0.182604864f));
  p = fma(p, t, splat(0.168523341f));
  p = fma(p, t, splat(-0.00503077311f));
  p = fma(p, t, splat(0.141084448f));
  p = fma(p, t, splat(0.168665677f));
  p = fma(p, t, splat(0.207817614f));
  p = fma(p, t, splat(0.225672185f));
  p = fma(p, t, splat(0.225675762f));
  return p * t;
}

}  // namespace NVILA_ISA
}  // namespace nvila
