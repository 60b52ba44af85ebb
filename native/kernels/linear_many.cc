// out[T, M] = x[T, C] · w[M, C]ᵀ + bias for many rows of x: both are turned while they are packed (multiply.h).
#include "multiply.h"

namespace nvila {
namespace NVILA_ISA {

template <typename W>
Status linear_many(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  return multiply(
      pool, out, T, C, M, {bias, false},
      [=](Packed* panel, int64_t t, int64_t k, int64_t depth, int64_t rows) { x_from_rows(panel, x + t * C + k, C, depth, rows); },
      [=](Packed* panel, int64_t m, int64_t k, int64_t depth, int64_t columns) { w_from_rows(panel, w + m * C + k, C, depth, columns); });
}

template Status linear_many(ThreadPool&, float*, const float*, const float*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const Bf16*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const F16*, Weight, int64_t, int64_t, int64_t);

}  // namespace NVILA_ISA
}  // namespace nvila
