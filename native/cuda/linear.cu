// Products with weights, and the patch convolution as one: patches are unrolled to rows first.
#include "ops.h"

namespace nvila_cuda {

namespace {

constexpr int64_t kRowsPerSum = 64;

void add_bias(Device& device, float* out, const float* bias, int64_t T, int64_t M) {
  const uint32_t width = static_cast<uint32_t>(M);
  device.each(T * M, [=] NVILA_DEVICE(uint32_t i) { out[i] += bias[i % width]; });
}

// rows[B·n·n, 3·patch·patch] of pixels[B, 3, S, S].
void unroll_patches(Device& device, float* rows, const float* pixels, int64_t B, int64_t S, int64_t patch) {
  const uint32_t n = static_cast<uint32_t>(S / patch), side = static_cast<uint32_t>(S), p = static_cast<uint32_t>(patch);
  const uint32_t width = 3 * p * p;
  device.each(B * n * n * width, [=] NVILA_DEVICE(uint32_t i) {
    const uint32_t row = i / width, at = i % width;
    const uint32_t channel = at / (p * p), dy = at / p % p, dx = at % p;
    const uint32_t picture = row / (n * n), py = row / n % n, px = row % n;
    rows[i] = pixels[(static_cast<size_t>(picture * 3 + channel) * side + py * p + dy) * side + px * p + dx];
  });
}

}  // namespace

void pixel_values(Device& device, float* out, const uint8_t* bytes, const float* table, int64_t n, int64_t S) {
  const uint32_t plane = static_cast<uint32_t>(S * S);
  device.each(n * 3 * plane, [=] NVILA_DEVICE(uint32_t i) {
    const uint32_t tile = i / (3 * plane), channel = i / plane % 3;
    out[i] = table[channel * 256 + bytes[static_cast<size_t>(tile * plane + i % plane) * 3 + channel]];
  });
}

void linear(Device& device, float* out, const float* x, const float* weight, const float* bias, int64_t T, int64_t C, int64_t M) {
  device.gemm(false, true, T, M, C, x, weight, 0, out);
  if (bias) add_bias(device, out, bias, T, M);
}

void linear_backward_input(Device& device, float* dx, const float* dy, const float* weight, int64_t T, int64_t C, int64_t M) {
  device.gemm(false, false, T, C, M, dy, weight, 0, dx);
}

void linear_backward_weight(Device& device, float* d_weight, float* d_bias, const float* dy, const float* x, int64_t T, int64_t C, int64_t M) {
  if (d_weight) device.gemm(true, false, M, C, T, dy, x, 1, d_weight);
  if (d_bias) add_column_sums(device, d_bias, dy, T, M);
}

void add_column_sums(Device& device, float* target, const float* source, int64_t T, int64_t C) {
  const uint32_t width = static_cast<uint32_t>(C);
  const int64_t parts = (T + kRowsPerSum - 1) / kRowsPerSum;
  float* sums = device.scratch(Device::Scratch::kSums, parts * C);
  device.each(parts * C, [=] NVILA_DEVICE(uint32_t i) {
    const int64_t first = i / width * kRowsPerSum;
    const int64_t end = first + kRowsPerSum < T ? first + kRowsPerSum : T;
    float sum = 0;
    for (int64_t t = first; t < end; t++) sum += source[t * width + i % width];
    sums[i] = sum;
  });
  device.each(C, [=] NVILA_DEVICE(uint32_t c) {
    float sum = 0;
    for (int64_t part = 0; part < parts; part++) sum += sums[part * width + c];
    target[c] += sum;
  });
}

void patch_embed(Device& device, float* out, const float* pixels, const float* weight, const float* bias, const float* position, int64_t B, int64_t S,
                 int64_t patch, int64_t C) {
  const int64_t P = (S / patch) * (S / patch), width = 3 * patch * patch;
  float* rows = device.scratch(Device::Scratch::kPatches, B * P * width);
  unroll_patches(device, rows, pixels, B, S, patch);
  device.gemm(false, true, B * P, C, width, rows, weight, 0, out);
  const uint32_t channels = static_cast<uint32_t>(C), map = static_cast<uint32_t>(P * C);
  device.each(B * P * C, [=] NVILA_DEVICE(uint32_t i) { out[i] += bias[i % channels] + position[i % map]; });
}

void patch_embed_backward(Device& device, float* d_weight, float* d_bias, float* d_position, const float* dy, const float* pixels, int64_t B,
                          int64_t S, int64_t patch, int64_t C) {
  const int64_t P = (S / patch) * (S / patch), width = 3 * patch * patch;
  float* rows = device.scratch(Device::Scratch::kPatches, B * P * width);
  unroll_patches(device, rows, pixels, B, S, patch);
  device.gemm(true, false, C, width, B * P, dy, rows, 1, d_weight);
  add_column_sums(device, d_bias, dy, B * P, C);
  add_column_sums(device, d_position, dy, B, P * C);
}

}  // namespace nvila_cuda
