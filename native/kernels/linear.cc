// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M].
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

float bias_at(Weight bias, int64_t m) {
  if (!bias.data) return 0.0f;
  switch (bias.dtype) {
    case DType::kF32:
      return widen(static_cast<const float*>(bias.data) + m);
    case DType::kBf16:
      return widen(static_cast<const Bf16*>(bias.data) + m);
    case DType::kF16:
      return widen(static_cast<const F16*>(bias.data) + m);
  }
  return 0.0f;
}

template <typename W>
void linear_rows(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  pool.parallel_for(M, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t m = begin; m < end; m++) {
      const float b = bias_at(bias, m);
      for (int64_t t = 0; t < T; t++) {
        F32 acc = zero();
        int64_t c = 0;
        for (; c + F32::width <= C; c += F32::width) acc = fma(load_weight(w + m * C + c), load(x + t * C + c), acc);
        float sum = sum_lanes(acc);
        for (; c < C; c++) sum += widen(w + m * C + c) * x[t * C + c];
        out[t * M + m] = sum + b;
      }
    }
  });
}

}  // namespace

Status linear(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, int64_t T, int64_t C, int64_t M) {
  switch (weight.dtype) {
    case DType::kF32:
      linear_rows(pool, out, x, static_cast<const float*>(weight.data), bias, T, C, M);
      break;
    case DType::kBf16:
      linear_rows(pool, out, x, static_cast<const Bf16*>(weight.data), bias, T, C, M);
      break;
    case DType::kF16:
      linear_rows(pool, out, x, static_cast<const F16*>(weight.data), bias, T, C, M);
      break;
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
