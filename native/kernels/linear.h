// The two ways to compute out[T, M] = x[T, C] · w[M, C]ᵀ + bias[M]; linear.cc chooses. W is float, Bf16 or F16.
#pragma once

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

// Few rows of x (T ≤ kFewRows): bound by reading w, which is read once, straight from where it lies.
constexpr int64_t kFewRows = 24;
template <typename W>
Status linear_few(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M);

// Many rows of x: bound by arithmetic; blocks of w and x are packed for the registers.
template <typename W>
Status linear_many(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M);

// Element m of a bias that may be absent (0).
NVILA_INLINE float bias_at(Weight bias, int64_t m) {
  if (!bias.data) return 0.0f;
  if (bias.dtype == DType::kF32) return widen(static_cast<const float*>(bias.data) + m);
  if (bias.dtype == DType::kBf16) return widen(static_cast<const Bf16*>(bias.data) + m);
  return widen(static_cast<const F16*>(bias.data) + m);
}

}  // namespace NVILA_ISA
}  // namespace nvila
