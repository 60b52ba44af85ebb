// Gradients of the norms, row by row, statistics in f64 as forward. Gradients of weight and bias are summed in chunks of rows, and the chunks'
// sums are added in order, so that the bits do not depend on the threads.
#include "backward.h"
#include "row_sums.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kRows = 64;  // of a chunk

struct Rows {
  float* dx;
  const float* dy;
  const float* x;
  const float* weight;
  double eps;
  int64_t C;
  bool is_centred;
};

// One row; adds dy · x̂ to weights[C] and dy to biases[C] (may be null).
void row_backward(const Rows& rows, int64_t t, float* weights, float* biases) {
  const int64_t C = rows.C;
  const float* x = rows.x + t * C;
  const float* dy = rows.dy + t * C;
  float* dx = rows.dx + t * C;
  const double mean = rows.is_centred ? sum_of(x, C) / static_cast<double>(C) : 0.0;
  const double variance = squares_of(x, mean, C) / static_cast<double>(C);
  const float high = static_cast<float>(mean);
  const F32 mean_high = splat(high), mean_low = splat(static_cast<float>(mean - static_cast<double>(high)));
  const F32 scale = splat(static_cast<float>(1.0 / __builtin_sqrt(variance + rows.eps)));
  F32 sum = zero(), dot = zero();
  for (int64_t c = 0; c < C; c += F32::width) {
    const int count = static_cast<int>(smaller(F32::width, C - c));
    const F32 upstream = load_first(dy + c, count);
    const F32 inside = load_first(x + c, count) - mean_high - mean_low;
    const F32 normal = inside * scale;
    const F32 g = upstream * load_first(rows.weight + c, count);
    sum = sum + g;
    dot = fma(g, normal, dot);
    store_first(weights + c, fma(upstream, normal, load_first(weights + c, count)), count);
    if (biases) store_first(biases + c, load_first(biases + c, count) + upstream, count);
  }
  const float per_row = 1.0f / static_cast<float>(C);
  const F32 offset = splat(rows.is_centred ? sum_lanes(sum) * per_row : 0.0f), along = splat(sum_lanes(dot) * per_row);
  for (int64_t c = 0; c < C; c += F32::width) {
    const int count = static_cast<int>(smaller(F32::width, C - c));
    const F32 normal = (load_first(x + c, count) - mean_high - mean_low) * scale;
    const F32 g = load_first(dy + c, count) * load_first(rows.weight + c, count);
    store_first(dx + c, scale * (g - offset - normal * along), count);
  }
}

Status norm_backward(ThreadPool& pool, float* d_weight, float* d_bias, Rows rows, Weight weight, int64_t T) {
  const int64_t C = rows.C, chunks = ceil_div(T, kRows);
  float* buffer = static_cast<float*>(
      pool.shared_scratch(static_cast<size_t>((1 + 2 * chunks) * C) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!buffer) return Status::kOutOfMemory;
  rows.weight = as_f32(weight, buffer, C);
  float* sums = buffer + C;  // [chunks][2][C]
  pool.parallel_for(T, kRows, [&](int64_t begin, int64_t end, int) {
    float* own = sums + begin / kRows * 2 * C;
    for (int64_t c = 0; c < 2 * C; c++) own[c] = 0.0f;
    for (int64_t t = begin; t < end; t++) row_backward(rows, t, own, d_bias ? own + C : nullptr);
  });
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    const float* own = sums + chunk * 2 * C;
    for (int64_t c = 0; d_weight && c < C; c++) d_weight[c] += own[c];
    for (int64_t c = 0; d_bias && c < C; c++) d_bias[c] += own[C + c];
  }
  return Status::kOk;
}

}  // namespace

Status layer_norm_backward(ThreadPool& pool, float* dx, float* d_weight, float* d_bias, const float* dy, const float* x, Weight weight,
                           double eps, int64_t T, int64_t C) {
  return norm_backward(pool, d_weight, d_bias, {dx, dy, x, nullptr, eps, C, true}, weight, T);
}

Status rms_norm_backward(ThreadPool& pool, float* dx, float* d_weight, const float* dy, const float* x, Weight weight, double eps, int64_t T,
                         int64_t C) {
  return norm_backward(pool, d_weight, nullptr, {dx, dy, x, nullptr, eps, C, false}, weight, T);
}

}  // namespace NVILA_ISA
}  // namespace nvila
