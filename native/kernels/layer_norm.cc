// out[T, C] = (x − mean) / sqrt(variance + eps) · weight + bias, row by row (layer_norm_row.h).
#include "layer_norm_row.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

Status layer_norm(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, double eps, int64_t T, int64_t C) {
  float* buffer = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(2 * C) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!buffer) return Status::kOutOfMemory;
  const float* w = as_f32(weight, buffer, C);
  const float* b = as_f32(bias, buffer + C, C);
  pool.parallel_for(T, rows_per_chunk(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) layer_norm_row(out + t * C, x + t * C, w, b, eps, C);
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
