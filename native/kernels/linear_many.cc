// out[T, M] = x[T, C] · w[M, C]ᵀ + bias for many rows of x: both are turned while they are packed (multiply.h).
#include "multiply.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// panel[depth][kTileM] from rows w[columns][depth] with stride C; missing columns are 0.
template <typename W>
void pack_w(float* panel, const W* w, int64_t C, int64_t depth, int64_t columns) {
  for (int v = 0; v < kVectors; v++) {
    const int64_t first = v * F32::width;
    const int64_t count = smaller(larger(columns - first, 0), F32::width);
    int64_t k = 0;
    if (count == F32::width) {
      for (; k + F32::width <= depth; k += F32::width) {
        F32 block[F32::width];
        for (int r = 0; r < F32::width; r++) block[r] = load_weight(w + (first + r) * C + k);
        transpose(block);
        for (int r = 0; r < F32::width; r++) store(panel + (k + r) * kTileM + first, block[r]);
      }
    }
    for (; k < depth; k++) {
      for (int64_t r = 0; r < F32::width; r++) panel[k * kTileM + first + r] = r < count ? widen(w + (first + r) * C + k) : 0.0f;
    }
  }
}

}  // namespace

template <typename W>
Status linear_many(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  return multiply(
      pool, out, T, C, M, {bias, false},
      [=](float* panel, int64_t t, int64_t k, int64_t depth, int64_t rows) { pack_x(panel, x + t * C + k, C, depth, rows); },
      [=](float* panel, int64_t m, int64_t k, int64_t depth, int64_t columns) { pack_w(panel, w + m * C + k, C, depth, columns); });
}

template Status linear_many(ThreadPool&, float*, const float*, const float*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const Bf16*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const F16*, Weight, int64_t, int64_t, int64_t);

}  // namespace NVILA_ISA
}  // namespace nvila
