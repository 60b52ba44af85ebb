// Sums over a row in f64, for the statistics of norms: f32 sums lose a spread that is far below the mean.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

// Σ f(x[c]); f takes and gives F64. Four sums at once hide the latency of addition.
template <typename F, typename G>
NVILA_INLINE double sum_row(const float* x, int64_t C, F&& vector, G&& single) {
  F64 sums[4] = {splat64(0), splat64(0), splat64(0), splat64(0)};
  constexpr int kStep = 4 * F64::width;
  int64_t c = 0;
  for (; c + kStep <= C; c += kStep) {
    for (int i = 0; i < 4; i++) sums[i] = vector(load64(x + c + i * F64::width), sums[i]);
  }
  double sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; c < C; c++) sum = single(static_cast<double>(x[c]), sum);
  return sum;
}

NVILA_INLINE double sum_of(const float* x, int64_t C) {
  return sum_row(
      x, C, [](F64 v, F64 sum) { return sum + v; }, [](double v, double sum) { return sum + v; });
}

// Σ (x[c] − mean)²
NVILA_INLINE double squares_of(const float* x, double mean, int64_t C) {
  return sum_row(
      x, C,
      [mean](F64 v, F64 sum) {
        const F64 d = v - splat64(mean);
        return fma(d, d, sum);
      },
      [mean](double v, double sum) { return sum + (v - mean) * (v - mean); });
}

// Rows of C floats that make a chunk worth handing out.
NVILA_INLINE int64_t rows_per_chunk(int64_t C) { return larger(1, (1 << 13) / larger(C, 1)); }

}  // namespace NVILA_ISA
}  // namespace nvila
