// Vectors of weights (norms, positions, rows of a table) as f32, from any stored dtype and any address.
#pragma once

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

// out[n] = w[n], widened.
template <typename W>
NVILA_INLINE void widen_row(float* out, const W* w, int64_t n) {
  int64_t i = 0;
  for (; i + F32::width <= n; i += F32::width) store(out + i, load_weight(w + i));
  for (; i < n; i++) out[i] = widen(w + i);
}

// Calls f with the typed address of the weight's elements.
template <typename F>
NVILA_INLINE void with_dtype(Weight weight, F&& f) {
  if (weight.dtype == DType::kF32) f(static_cast<const float*>(weight.data));
  else if (weight.dtype == DType::kBf16) f(static_cast<const Bf16*>(weight.data));
  else f(static_cast<const F16*>(weight.data));
}

// The weight's n elements as f32: where they are, if that is what they are (then perhaps at an odd address), else widened into buffer[n].
NVILA_INLINE const float* as_f32(Weight weight, float* buffer, int64_t n) {
  if (weight.dtype == DType::kF32) return static_cast<const float*>(weight.data);
  with_dtype(weight, [&](auto* w) { widen_row(buffer, w, n); });
  return buffer;
}

}  // namespace NVILA_ISA
}  // namespace nvila
