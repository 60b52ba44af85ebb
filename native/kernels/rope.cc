// out[T, H, D]: pairs (i, i + D/2) turned by positions[t] · theta^(−2i/D). Angles, sines and cosines in f64, once per row for
// all heads.
#include <math.h>

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status rope(ThreadPool& pool, float* out, const float* x, const int32_t* positions, double theta, int64_t T, int64_t H, int64_t D) {
  const int64_t half = D / 2;
  double* frequencies = static_cast<double*>(pool.shared_scratch(static_cast<size_t>(half) * sizeof(double), ThreadPool::Shared::kCallerOfLinear));
  bool is_enough = frequencies != nullptr;
  const size_t row_bytes = static_cast<size_t>(D) * sizeof(float);
  for (int thread = 0; is_enough && thread < pool.threads(); thread++) is_enough = pool.scratch(thread, row_bytes) != nullptr;
  if (!is_enough) return Status::kOutOfMemory;
  for (int64_t i = 0; i < half; i++) frequencies[i] = pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(D));

  const int64_t grain = larger(1, (1 << 12) / larger(H * D, 1));
  pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int thread) {
    float* cosines = static_cast<float*>(pool.scratch(thread, row_bytes));
    float* sines = cosines + half;
    for (int64_t t = begin; t < end; t++) {
      for (int64_t i = 0; i < half; i++) {
        const double angle = static_cast<double>(positions[t]) * frequencies[i];
        cosines[i] = static_cast<float>(cos(angle));
        sines[i] = static_cast<float>(sin(angle));
      }
      for (int64_t h = 0; h < H; h++) {
        const float* low = x + (t * H + h) * D;
        const float* high = low + half;
        float* y = out + (t * H + h) * D;
        for (int64_t i = 0; i < half; i += F32::width) {
          const int count = static_cast<int>(smaller(F32::width, half - i));
          const F32 c = load_first(cosines + i, count), s = load_first(sines + i, count);
          const F32 a = load_first(low + i, count), b = load_first(high + i, count);
          store_first(y + i, a * c - b * s, count);
          store_first(y + half + i, fma(b, c, a * s), count);
        }
      }
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
