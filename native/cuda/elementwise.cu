// One element at a time: sums, activations, rotary positions.
#include "ops.h"

namespace nvila_cuda {

namespace {

constexpr float kRootTwoOverPi = 0.7978845608028654f;
constexpr float kCubic = 0.044715f;

NVILA_KERNEL float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// ½ (1 + tanh u) is σ(2u), which keeps its digits where tanh is near −1.
NVILA_KERNEL float gelu_tanh(float x) { return x * sigmoid(2 * kRootTwoOverPi * (x + kCubic * x * x * x)); }

NVILA_KERNEL float gelu_erf(float x) { return 0.5f * x * erfcf(-x * 0.7071067811865476f); }

NVILA_KERNEL float gelu_tanh_slope(float x) {
  const float s = sigmoid(2 * kRootTwoOverPi * (x + kCubic * x * x * x));
  return s + 2 * x * s * (1 - s) * kRootTwoOverPi * (1 + 3 * kCubic * x * x);
}

NVILA_KERNEL float gelu_erf_slope(float x) {
  return 0.5f * erfcf(-x * 0.7071067811865476f) + x * expf(-0.5f * x * x) * 0.3989422804014327f;
}

}  // namespace

void add(Device& device, float* out, const float* a, const float* b, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { out[i] = a[i] + b[i]; });
}

void accumulate(Device& device, float* target, const float* source, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { target[i] += source[i]; });
}

void gelu(Device& device, float* out, const float* x, bool is_tanh, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { out[i] = is_tanh ? gelu_tanh(x[i]) : gelu_erf(x[i]); });
}

void gelu_backward(Device& device, float* dx, const float* dy, const float* x, bool is_tanh, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { dx[i] = dy[i] * (is_tanh ? gelu_tanh_slope(x[i]) : gelu_erf_slope(x[i])); });
}

void swiglu(Device& device, float* out, const float* gate, const float* up, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) { out[i] = gate[i] * sigmoid(gate[i]) * up[i]; });
}

void swiglu_backward(Device& device, float* d_gate, float* d_up, const float* dy, const float* gate, const float* up, int64_t n) {
  device.each(n, [=] NVILA_DEVICE(uint32_t i) {
    const float g = gate[i], s = sigmoid(g), d = dy[i];
    d_gate[i] = d * up[i] * s * (1 + g * (1 - s));
    d_up[i] = d * g * s;
  });
}

void rope(Device& device, float* out, const float* x, const int32_t* positions, double theta, double sign, int64_t T, int64_t H, int64_t D) {
  const uint32_t half = static_cast<uint32_t>(D / 2), heads = static_cast<uint32_t>(H);
  device.each(T * H * half, [=] NVILA_DEVICE(uint32_t at) {
    const uint32_t i = at % half, row = at / half, t = row / heads;
    // In f64: an angle is far larger than its error may be.
    const double angle = sign * positions[t] * pow(theta, -2.0 * i / D);
    const float c = static_cast<float>(cos(angle)), s = static_cast<float>(sin(angle));
    const size_t first = static_cast<size_t>(row) * D + i, second = first + half;
    const float a = x[first], b = x[second];
    out[first] = a * c - b * s;
    out[second] = b * c + a * s;
  });
}

}  // namespace nvila_cuda
