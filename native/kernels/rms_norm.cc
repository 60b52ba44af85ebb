// out[T, C] = x / sqrt(mean(x²) + eps) · weight, row by row; the mean of squares in f64.
#include "row_sums.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

Status rms_norm(ThreadPool& pool, float* out, const float* x, Weight weight, double eps, int64_t T, int64_t C) {
  float* buffer = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(C) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!buffer) return Status::kOutOfMemory;
  const float* w = as_f32(weight, buffer, C);
  pool.parallel_for(T, rows_per_chunk(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const float* row = x + t * C;
      float* y = out + t * C;
      const double mean_square = squares_of(row, 0, C) / static_cast<double>(C);
      const F32 scale = splat(static_cast<float>(1.0 / __builtin_sqrt(mean_square + eps)));
      for (int64_t c = 0; c < C; c += F32::width) {
        const int count = static_cast<int>(smaller(F32::width, C - c));
        if (count == F32::width) store(y + c, load(row + c) * scale * load(w + c));
        else store_first(y + c, load_first(row + c, count) * scale * load_first(w + c, count), count);
      }
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
