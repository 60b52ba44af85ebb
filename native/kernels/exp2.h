// 2^x of a vector, within 1.5e-7 relative (measured over all floats in −126 … 127; the nearest float is within 6e-8).
// Below −126.5 it fades to 0, −∞ gives 0, NaN gives NaN. Not for x > 127.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

constexpr double kLog2E = 1.4426950408889634;

NVILA_INLINE F32 exp2(F32 x) {
  // Adding this rounds to an integer, and leaves n + 127 in the low bits of the sum.
  const F32 magic = splat(12582912.0f + 127.0f);  // 1.5 · 2^23
  x = max(splat(-127.0f), x);                      // in this order NaN stays
  const F32 shifted = x + magic;
  const F32 f = x - (shifted - magic);  // −0.5 … 0.5, exact
  // Minimax polynomial of 2^f with the constant 1, so that 2^0 is exactly 1; 2.6e-9 relative.
  F32 p = splat(1.55946778e-4f);
  p = fma(p, f, splat(1.34066434e-3f));
  p = fma(p, f, splat(9.61769279e-3f));
  p = fma(p, f, splat(5.55031039e-2f));
  p = fma(p, f, splat(2.40226522e-1f));
  p = fma(p, f, splat(6.93147242e-1f));
  p = fma(p, f, splat(1.0f));
  return p * bits_to_exponent(shifted);
}

}  // namespace NVILA_ISA
}  // namespace nvila
