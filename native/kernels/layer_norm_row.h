// One row of a layer norm: (x − mean) / sqrt(variance + eps) · w + b. Statistics in f64, two passes over a row that stays in L1; the mean is
// taken off in two parts, so that nothing is lost where it is large.
#pragma once

#include "row_sums.h"

namespace nvila {
namespace NVILA_ISA {

// y[C] from row[C], w[C], b[C].
NVILA_INLINE void layer_norm_row(float* y, const float* row, const float* w, const float* b, double eps, int64_t C) {
  const double mean = sum_of(row, C) / static_cast<double>(C);
  const double variance = squares_of(row, mean, C) / static_cast<double>(C);
  const float high = static_cast<float>(mean);
  const F32 mean_high = splat(high), mean_low = splat(static_cast<float>(mean - static_cast<double>(high)));
  const F32 scale = splat(static_cast<float>(1.0 / __builtin_sqrt(variance + eps)));
  for (int64_t c = 0; c < C; c += F32::width) {
    const int count = static_cast<int>(smaller(F32::width, C - c));
    if (count == F32::width) {
      store(y + c, fma((load(row + c) - mean_high - mean_low) * scale, load(w + c), load(b + c)));
    } else {
      const F32 centred = load_first(row + c, count) - mean_high - mean_low;
      store_first(y + c, fma(centred * scale, load_first(w + c, count), load_first(b + c, count)), count);
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
