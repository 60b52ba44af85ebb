// The loss and the optimisers.
#include <utility>

#include "ops.h"

namespace nvila_cuda {

namespace {

// Warps that share the sum of one matrix.
constexpr int64_t kParts = 64;

// sums[at · kParts + part] = Σ x² over every kParts-th piece of matrix number `at` of `count`, each of n elements; then out[at] their sums.
void sums_of_squares(Device& device, float* out, const float* x, int64_t n, int64_t count) {
  float* sums = device.scratch(Device::Scratch::kSums, count * kParts);
  device.rows(count * kParts, [=] NVILA_DEVICE(uint32_t row, int lane) {
    const float* matrix = x + row / kParts * n;
    double sum = 0;
    for (int64_t i = row % kParts * kWarp + lane; i < n; i += kParts * kWarp) sum += static_cast<double>(matrix[i]) * matrix[i];
    sum = warp_sum(sum);
    if (lane == 0) sums[row] = static_cast<float>(sum);
  });
  device.rows(count, [=] NVILA_DEVICE(uint32_t at, int lane) {
    double sum = 0;
    for (int64_t i = lane; i < kParts; i += kWarp) sum += sums[at * kParts + i];
    sum = warp_sum(sum);
    if (lane == 0) out[at] = static_cast<float>(sum);
  });
}

// Working memory of Muon for `count` matrices: two copies of each, and two squares of the smaller side.
struct MuonScratch {
  float *current, *next, *square, *fourth, *norms;
  int64_t n, side;
};

MuonScratch muon_scratch(Device& device, int64_t rows, int64_t columns, int64_t count) {
  const int64_t n = rows * columns, side = rows < columns ? rows : columns;
  float* memory = device.scratch(Device::Scratch::kMuon, count * (2 * n + 2 * side * side + 1));
  float* squares = memory + 2 * count * n;
  return {memory, memory + count * n, squares, squares + count * side * side, squares + 2 * count * side * side, n, side};
}

}  // namespace

void sum_of_squares(Device& device, float* out, const float* x, int64_t n) { sums_of_squares(device, out, x, n, 1); }

void cross_entropy(Device& device, float* losses, float* logits, const int32_t* targets, const float* weights, const int32_t* soft_ids,
                   int64_t soft_count, double std, int64_t T, int64_t V) {
  const float width = static_cast<float>(2 * std * std);
  device.rows(T, [=] NVILA_DEVICE(uint32_t t, int lane) {
    float* row = logits + t * V;
    const int32_t y = targets[t];
    if (y < 0) {
      for (int64_t v = lane; v < V; v += kWarp) row[v] = 0;
      if (lane == 0) losses[t] = 0;
      return;
    }
    float largest = -INFINITY;
    for (int64_t v = lane; v < V; v += kWarp) largest = fmaxf(largest, row[v]);
    largest = warp_max(largest);
    float total = 0;
    for (int64_t v = lane; v < V; v += kWarp) total += expf(row[v] - largest);
    total = warp_sum(total);
    const float log_total = logf(total), weight = weights[t];
    bool is_soft = false;
    float spread_total = 0;
    for (int64_t i = 0; i < soft_count; i++) {
      const float distance = static_cast<float>(y - soft_ids[i]);
      if (distance == 0) is_soft = true;
      spread_total += expf(-distance * distance / width);
    }
    float loss = 0;
    if (is_soft) {
      for (int64_t i = 0; i < soft_count; i++) {
        const float distance = static_cast<float>(y - soft_ids[i]);
        loss -= expf(-distance * distance / width) / spread_total * (row[soft_ids[i]] - largest - log_total);
      }
    } else {
      loss = -(row[y] - largest - log_total);
    }
    if (lane == 0) losses[t] = loss;
#ifndef NVILA_CUDA_ON_HOST
    __syncwarp();  // everyone has read the logits that now become gradients
#endif
    for (int64_t v = lane; v < V; v += kWarp) {
      float share = v == y && !is_soft ? 1.0f : 0.0f;
      if (is_soft) {
        for (int64_t i = 0; i < soft_count; i++) {
          if (soft_ids[i] != v) continue;
          const float distance = static_cast<float>(y - soft_ids[i]);
          share += expf(-distance * distance / width) / spread_total;
        }
      }
      row[v] = weight * (expf(row[v] - largest) / total - share);
    }
  });
}

void adamw(Device& device, float* parameter, float* m, float* v, const float* gradient, double learning_rate, double beta1, double beta2, double eps,
           double weight_decay, double correction1, double correction2, double gradient_scale, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) {
    const double g = gradient[i] * gradient_scale;
    m[i] = static_cast<float>(beta1 * m[i] + (1 - beta1) * g);
    v[i] = static_cast<float>(beta2 * v[i] + (1 - beta2) * g * g);
    const double move = m[i] / correction1 / (sqrt(v[i] / correction2) + eps);
    parameter[i] = static_cast<float>(parameter[i] - learning_rate * weight_decay * parameter[i] - learning_rate * move);
  });
}

void muon_take(Device& device, float* m, const float* gradient, double momentum, double gradient_scale, int64_t at, int64_t rows, int64_t columns,
               int64_t count) {
  const MuonScratch scratch = muon_scratch(device, rows, columns, count);
  float* ahead = scratch.current + at * scratch.n;
  const float decay = static_cast<float>(momentum), scale = static_cast<float>(gradient_scale);
  device.each(scratch.n, [=] NVILA_DEVICE(uint32_t i) {
    const float g = gradient[i] * scale;
    m[i] = decay * m[i] + g;
    ahead[i] = g + decay * m[i];
  });
}

void muon_rounds(Device& device, double a, double b, double c, int64_t rounds, int64_t rows, int64_t columns, int64_t count) {
  auto [current, next, square, fourth, norms, n, side] = muon_scratch(device, rows, columns, count);
  sums_of_squares(device, norms, current, n, count);
  const uint32_t size = static_cast<uint32_t>(n);
  device.each(count * n, [current = current, norms = norms, size] NVILA_DEVICE(uint32_t i) { current[i] *= 1 / (sqrtf(norms[i / size]) + 1e-7f); });
  const bool is_wide = rows <= columns;
  const float fa = static_cast<float>(a), fb = static_cast<float>(b), fc = static_cast<float>(c);
  const uint32_t width = static_cast<uint32_t>(side);
  for (int64_t round = 0; round < rounds; round++) {
    if (is_wide) {
      device.gemm(false, true, side, side, columns, current, current, 0, square, count);
    } else {
      device.gemm(true, false, side, side, rows, current, current, 0, square, count);
    }
    device.gemm(false, true, side, side, side, square, square, 0, fourth, count);
    device.each(count * side * side, [square = square, fourth = fourth, fa, fb, fc, width] NVILA_DEVICE(uint32_t i) {
      square[i] = fb * square[i] + fc * fourth[i] + (i % (width * width) % (width + 1) == 0 ? fa : 0);
    });
    if (is_wide) {
      device.gemm(false, false, rows, columns, side, square, current, 0, next, count);
    } else {
      device.gemm(false, false, rows, columns, side, current, square, 0, next, count);
    }
    std::swap(current, next);
  }
  // Where muon_give looks for it.
  if (rounds % 2 == 1) device.copy(next, current, static_cast<size_t>(count * n) * sizeof(float));
}

void muon_give(Device& device, float* parameter, double rate, int64_t at, int64_t rows, int64_t columns, int64_t count) {
  const MuonScratch scratch = muon_scratch(device, rows, columns, count);
  const float* direction = scratch.current + at * scratch.n;
  const float step = static_cast<float>(rate);
  device.each(scratch.n, [=] NVILA_DEVICE(uint32_t i) { parameter[i] -= step * direction[i]; });
}

}  // namespace nvila_cuda
