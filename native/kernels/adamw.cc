// The optimiser's arithmetic: AdamW element by element, and the norm of gradients.
#include "backward.h"
#include "elementwise.h"
#include "row_sums.h"

namespace nvila {
namespace NVILA_ISA {

Status adamw(ThreadPool& pool, float* parameter, float* m, float* v, const float* gradient, AdamWStep step, int64_t n) {
  const auto constant = [](double x) { return splat(static_cast<float>(x)); };
  const F32 beta1 = constant(step.beta1), rest1 = constant(1.0 - step.beta1), beta2 = constant(step.beta2), rest2 = constant(1.0 - step.beta2);
  const F32 scale = constant(step.gradient_scale), correction2 = constant(1.0 / step.correction2), eps = constant(step.eps);
  const F32 rate = constant(step.learning_rate / step.correction1), kept = constant(1.0 - step.learning_rate * step.weight_decay);
  pool.parallel_for(n, kElementsPerChunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i += F32::width) {
      const int count = static_cast<int>(smaller(F32::width, end - i));
      const F32 g = load_first(gradient + i, count) * scale;
      const F32 first = fma(beta1, load_first(m + i, count), rest1 * g);
      const F32 second = fma(beta2, load_first(v + i, count), rest2 * g * g);
      store_first(m + i, first, count);
      store_first(v + i, second, count);
      const F32 move = rate * first / (sqrt(second * correction2) + eps);
      store_first(parameter + i, load_first(parameter + i, count) * kept - move, count);
    }
  });
  return Status::kOk;
}

Status sum_of_squares(ThreadPool& pool, const float* x, int64_t n, double* sum) {
  const int64_t chunks = ceil_div(n, kElementsPerChunk);
  double* sums = static_cast<double*>(pool.shared_scratch(static_cast<size_t>(larger(1, chunks)) * sizeof(double), ThreadPool::Shared::kRows));
  if (!sums) return Status::kOutOfMemory;
  pool.parallel_for(n, kElementsPerChunk,
                    [&](int64_t begin, int64_t end, int) { sums[begin / kElementsPerChunk] = squares_of(x + begin, 0.0, end - begin); });
  *sum = 0.0;
  for (int64_t chunk = 0; chunk < chunks; chunk++) *sum += sums[chunk];
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
