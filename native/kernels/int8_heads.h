// Keys and values as int8: one head of one position is D codes and a scale.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

// out[D] = codes[D] · scale
NVILA_INLINE void widen_head(float* out, const int8_t* codes, float scale, int64_t D) {
  const F32 by = splat(scale);
  int64_t d = 0;
  for (; d + F32::width <= D; d += F32::width) store(out + d, load_i8(codes + d) * by);
  for (; d < D; d++) out[d] = static_cast<float>(codes[d]) * scale;
}

// codes[D] and the scale that it returns: largest |x| / 127, x / scale to the nearest, ties to even. Codes are 0 if the scale is 0, and if a
// number is not finite, which makes the scale NaN.
NVILA_INLINE float quantize_head(int8_t* codes, const float* x, int64_t D) {
  F32 largest = zero(), nothing = zero();
  for (int64_t d = 0; d < D; d += F32::width) {
    const F32 a = load_first(x + d, static_cast<int>(smaller(F32::width, D - d)));
    largest = max(abs(a), largest);
    nothing = nothing + (a - a);  // NaN of what is not finite
  }
  const float scale = max_lanes(largest) / 127.0f + sum_lanes(nothing);
  const bool is_usable = scale > 0.0f;
  const float magic = 12582912.0f;  // 1.5 · 2^23: adding it rounds to an integer
  for (int64_t d = 0; d < D; d++) {
    const float code = is_usable ? (x[d] / scale + magic) - magic : 0.0f;
    codes[d] = static_cast<int8_t>(static_cast<int32_t>(code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code));
  }
  return scale;
}

}  // namespace NVILA_ISA
}  // namespace nvila
