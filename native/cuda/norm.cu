// LayerNorm and RMSNorm: a warp to a row. Sums are f64: a mean may be far larger than what is left beside it.
#include "ops.h"

namespace nvila_cuda {

namespace {

struct Statistics {
  double mean;
  double scale;  // 1 / sqrt(variance + eps)
};

// Of a row, in every lane of its warp; without `is_centred` the mean counts as 0.
NVILA_KERNEL Statistics statistics(const float* row, int64_t C, double eps, bool is_centred, int lane) {
  double sum = 0;
  if (is_centred) {
    for (int64_t c = lane; c < C; c += kWarp) sum += row[c];
  }
  const double mean = warp_sum(sum) / C;
  double squares = 0;
  for (int64_t c = lane; c < C; c += kWarp) squares += (row[c] - mean) * (row[c] - mean);
  return {mean, 1 / sqrt(warp_sum(squares) / C + eps)};
}

// out = (x − mean) / sqrt(var + eps) · weight + bias; an RMS norm is not centred and has no bias.
void norm(Device& device, float* out, const float* x, const float* weight, const float* bias, double eps, bool is_centred, int64_t T, int64_t C) {
  device.rows(T, [=] NVILA_DEVICE(uint32_t t, int lane) {
    const float* row = x + t * C;
    const auto [mean, scale] = statistics(row, C, eps, is_centred, lane);
    for (int64_t c = lane; c < C; c += kWarp) {
      out[t * C + c] = static_cast<float>((row[c] - mean) * scale) * weight[c] + (bias ? bias[c] : 0);
    }
  });
}

// Also writes dy · x̂ to `products` [T, C] where that is not null.
void norm_backward(Device& device, float* dx, float* products, const float* dy, const float* x, const float* weight, double eps, bool is_centred,
                   int64_t T, int64_t C) {
  device.rows(T, [=] NVILA_DEVICE(uint32_t t, int lane) {
    const float* row = x + t * C;
    const float* upstream = dy + t * C;
    const auto [mean, scale] = statistics(row, C, eps, is_centred, lane);
    double total = 0, dot = 0;
    for (int64_t c = lane; c < C; c += kWarp) {
      const float g = upstream[c] * weight[c];
      total += g;
      dot += g * (row[c] - mean) * scale;
    }
    dot = warp_sum(dot) / C;
    const double offset = is_centred ? warp_sum(total) / C : 0;
    for (int64_t c = lane; c < C; c += kWarp) {
      const float normal = static_cast<float>((row[c] - mean) * scale);
      const float d = upstream[c];
      if (products) products[t * C + c] = d * normal;
      dx[t * C + c] = static_cast<float>(scale * (d * weight[c] - offset - normal * dot));
    }
  });
}

}  // namespace

void layer_norm(Device& device, float* out, const float* x, const float* weight, const float* bias, double eps, int64_t T, int64_t C) {
  norm(device, out, x, weight, bias, eps, true, T, C);
}

void rms_norm(Device& device, float* out, const float* x, const float* weight, double eps, int64_t T, int64_t C) {
  norm(device, out, x, weight, nullptr, eps, false, T, C);
}

void layer_norm_backward(Device& device, float* dx, float* d_weight, float* d_bias, const float* dy, const float* x, const float* weight, double eps,
                         int64_t T, int64_t C) {
  float* products = d_weight ? device.scratch(Device::Scratch::kRows, T * C) : nullptr;
  norm_backward(device, dx, products, dy, x, weight, eps, true, T, C);
  if (d_weight) add_column_sums(device, d_weight, products, T, C);
  if (d_bias) add_column_sums(device, d_bias, dy, T, C);
}

void rms_norm_backward(Device& device, float* dx, float* d_weight, const float* dy, const float* x, const float* weight, double eps, int64_t T,
                       int64_t C) {
  float* products = d_weight ? device.scratch(Device::Scratch::kRows, T * C) : nullptr;
  norm_backward(device, dx, products, dy, x, weight, eps, false, T, C);
  if (d_weight) add_column_sums(device, d_weight, products, T, C);
}

}  // namespace nvila_cuda
