// The loss and the optimisers.
#include "ops.h"

namespace nvila_cuda {

namespace {

constexpr int64_t kPartialSums = 1024;

// sums[i] = Σ x² over every kPartialSums-th element from i on.
void partial_squares(Device& device, float* sums, const float* x, int64_t n) {
  device.each(kPartialSums, [=] NVILA_DEVICE(uint32_t i) {
    double sum = 0;
    for (int64_t at = i; at < n; at += kPartialSums) sum += static_cast<double>(x[at]) * x[at];
    sums[i] = static_cast<float>(sum);
  });
}

}  // namespace

void sum_of_squares(Device& device, float* out, const float* x, int64_t n) {
  float* sums = device.scratch(Device::Scratch::kSums, kPartialSums);
  partial_squares(device, sums, x, n);
  device.each(1, [=] NVILA_DEVICE(uint32_t) {
    double sum = 0;
    for (int64_t i = 0; i < kPartialSums; i++) sum += sums[i];
    out[0] = static_cast<float>(sum);
  });
}

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

void muon(Device& device, float* parameter, float* m, const float* gradient, double rate, double momentum, double gradient_scale, double a, double b,
          double c, int64_t rounds, int64_t rows, int64_t columns) {
  const int64_t n = rows * columns, side = rows < columns ? rows : columns;
  const bool is_wide = rows <= columns;
  float* current = device.scratch(Device::Scratch::kMuon, 2 * n + 2 * side * side);
  float* next = current + n;
  float* square = next + n;
  float* fourth = square + side * side;
  const float decay = static_cast<float>(momentum), scale = static_cast<float>(gradient_scale);
  device.each(n, [=] NVILA_DEVICE(uint32_t i) {
    const float g = gradient[i] * scale;
    m[i] = decay * m[i] + g;
    current[i] = g + decay * m[i];
  });
  float* sums = device.scratch(Device::Scratch::kSums, kPartialSums + 1);
  sum_of_squares(device, sums + kPartialSums, current, n);
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { current[i] *= 1 / (sqrtf(sums[kPartialSums]) + 1e-7f); });
  const float fa = static_cast<float>(a), fb = static_cast<float>(b), fc = static_cast<float>(c);
  const uint32_t width = static_cast<uint32_t>(side);
  for (int64_t round = 0; round < rounds; round++) {
    if (is_wide) {
      device.gemm(false, true, side, side, columns, current, current, 0, square);
    } else {
      device.gemm(true, false, side, side, rows, current, current, 0, square);
    }
    device.gemm(false, true, side, side, side, square, square, 0, fourth);
    device.each(side * side, [=] NVILA_DEVICE(uint32_t i) {
      square[i] = fb * square[i] + fc * fourth[i] + (i % (width + 1) == 0 ? fa : 0);
    });
    if (is_wide) {
      device.gemm(false, false, rows, columns, side, square, current, 0, next);
    } else {
      device.gemm(false, false, rows, columns, side, current, square, 0, next);
    }
    float* spare = current;
    current = next;
    next = spare;
  }
  const float step = static_cast<float>(rate);
  const float* direction = current;
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { parameter[i] -= step * direction[i]; });
}

}  // namespace nvila_cuda
