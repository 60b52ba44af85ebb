// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M]: chooses the way by T and unpacks the weight's dtype.
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

template <typename W>
Status choose(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, int64_t T, int64_t C, int64_t M) {
  const W* w = static_cast<const W*>(weight.data);
  return T <= kFewRows ? linear_few(pool, out, x, w, bias, T, C, M) : linear_many(pool, out, x, w, bias, T, C, M);
}

}  // namespace

Status linear(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, int64_t T, int64_t C, int64_t M) {
  if (T == 0 || M == 0) return Status::kOk;
  if (weight.dtype == DType::kF32) return choose<float>(pool, out, x, weight, bias, T, C, M);
  if (weight.dtype == DType::kBf16) return choose<Bf16>(pool, out, x, weight, bias, T, C, M);
  return choose<F16>(pool, out, x, weight, bias, T, C, M);
}

}  // namespace NVILA_ISA
}  // namespace nvila
