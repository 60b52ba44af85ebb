// out[T, C] = (x − mean) / sqrt(variance + eps) · weight + bias, row by row. Statistics in f64, two passes over a row that stays in L1; the
// mean is taken off in two parts, so that nothing is lost where it is large.
#include "row_sums.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

Status layer_norm(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, double eps, int64_t T, int64_t C) {
  float* buffer = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(2 * C) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!buffer) return Status::kOutOfMemory;
  const float* w = as_f32(weight, buffer, C);
  const float* b = as_f32(bias, buffer + C, C);
  pool.parallel_for(T, rows_per_chunk(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const float* row = x + t * C;
      float* y = out + t * C;
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
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
