// Rounds the rows of a stored matrix to int8 per row or int4 per group. The definitions, and the bits, are those of
// src/quant/int8-weight-quantizer.ts and int4-quantizer.ts: every operation rounded to f32, ties to even. The sums tell how much the
// rounding changed; they are taken in units of the scale, so that nothing overflows.
#include "kernels.h"

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Adding and taking away 1.5 · 2^23 rounds to an integer, ties to even. Larger values stay far outside every clamp.
constexpr float kRound = 12582912.0f;
constexpr float kFloor = 1e-5f;
// Elements per chunk of a loop over rows.
constexpr int64_t kChunk = 65536;

NVILA_INLINE F32 round_even(F32 x) { return (x + splat(kRound)) - splat(kRound); }
NVILA_INLINE float round_even(float x) { return (x + kRound) - kRound; }
// NaN becomes `low`, as in vectors.
NVILA_INLINE float clamp(float x, float low, float high) { return x > low ? (x < high ? x : high) : low; }

// The nearest half, ties to even; beyond the largest one infinity.
float nearest_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x47800000u) return f16_to_f32(static_cast<uint16_t>(sign | 0x7c00u));
  if (magnitude < 0x38800000u) {  // subnormal: one unit is 2^-24
    const float units = round_even(__builtin_fabsf(value) * 16777216.0f) * 5.9604644775390625e-8f;
    return sign ? -units : units;
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return f16_to_f32(static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13)));
}

// out[n] = the integers of codes[n], which are exact.
NVILA_INLINE void to_int8(int8_t* out, const float* codes, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = static_cast<int8_t>(static_cast<int32_t>(codes[i]));
}
NVILA_INLINE void to_nibbles(uint8_t* out, const float* codes, int64_t n) {
  for (int64_t i = 0; i < n / 2; i++) {
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(codes[2 * i]) | (static_cast<int32_t>(codes[2 * i + 1]) << 4));
  }
}

struct Sums {
  double errors = 0, squares = 0;
};

// codes[n] = clamp(round(w / scale) + zero, low, high), n at most kBlock.
constexpr int64_t kBlock = 256;
template <typename W>
NVILA_INLINE void round_block(float* codes, const W* w, int64_t n, float scale, float zero, float low, float high, Sums& sums) {
  F32 errors = nvila::NVILA_ISA::zero(), squares = nvila::NVILA_ISA::zero();
  const F32 s = splat(scale), z = splat(zero), lo = splat(low), hi = splat(high);
  int64_t i = 0;
  for (; i + F32::width <= n; i += F32::width) {
    const F32 q = load_weight(w + i) / s;
    const F32 code = min(max(round_even(q) + z, lo), hi);
    const F32 error = q - (code - z);
    errors = fma(error, error, errors);
    squares = fma(q, q, squares);
    store(codes + i, code);
  }
  float rest_errors = sum_lanes(errors), rest_squares = sum_lanes(squares);
  for (; i < n; i++) {
    const float q = widen(w + i) / scale;
    codes[i] = clamp(round_even(q) + zero, low, high);
    const float error = q - (codes[i] - zero);
    rest_errors += error * error;
    rest_squares += q * q;
  }
  const double unit = static_cast<double>(scale) * static_cast<double>(scale);
  sums.errors += static_cast<double>(rest_errors) * unit;
  sums.squares += static_cast<double>(rest_squares) * unit;
}

// The least and the largest value; NaN may be lost, the sums find it.
template <typename W>
NVILA_INLINE void range_of(const W* w, int64_t n, float* low, float* high) {
  float lo = widen(w), hi = lo;
  int64_t i = 0;
  if (n >= F32::width) {
    F32 vlo = load_weight(w), vhi = vlo;
    for (; i + F32::width <= n; i += F32::width) {
      const F32 x = load_weight(w + i);
      vlo = min(vlo, x);
      vhi = max(vhi, x);
    }
    hi = max_lanes(vhi);
    lo = -max_lanes(splat(0.0f) - vlo);
  }
  for (; i < n; i++) {
    const float x = widen(w + i);
    lo = x < lo ? x : lo;
    hi = x > hi ? x : hi;
  }
  *low = lo;
  *high = hi;
}

template <typename W>
void int8_rows(ThreadPool& pool, int8_t* codes, float* scales, double* sums, const W* w, int64_t M, int64_t C) {
  pool.parallel_for(M, larger(1, kChunk / C), [&](int64_t begin, int64_t end, int) {
    alignas(64) float block[kBlock];
    for (int64_t m = begin; m < end; m++) {
      float low, high;
      range_of(w + m * C, C, &low, &high);
      float amax = high > -low ? high : -low;
      amax = amax > kFloor ? amax : kFloor;
      const float scale = amax / 127.0f;
      Sums row;
      for (int64_t c = 0; c < C; c += kBlock) {
        const int64_t n = smaller(kBlock, C - c);
        round_block(block, w + m * C + c, n, scale, 0.0f, -127.0f, 127.0f, row);
        to_int8(codes + m * C + c, block, n);
      }
      scales[m] = scale;
      sums[2 * m] = row.errors;
      sums[2 * m + 1] = row.squares;
    }
  });
}

template <typename W>
void int4_rows(ThreadPool& pool, uint8_t* codes, float* scales, uint8_t* zeros, double* sums, const W* w, int64_t M, int64_t C,
               int64_t group, bool symmetric, bool half_scales) {
  const int64_t G = C / group;
  pool.parallel_for(M, larger(1, kChunk / C), [&](int64_t begin, int64_t end, int) {
    alignas(64) float block[kBlock];
    for (int64_t m = begin; m < end; m++) {
      Sums row;
      for (int64_t g = 0; g < G; g++) {
        const int64_t at = m * C + g * group;
        float low, high;
        range_of(w + at, group, &low, &high);
        float span = symmetric ? (high > -low ? high : -low) : high - low;
        span = span > kFloor ? span : kFloor;
        float scale = symmetric ? span / 7.5f : span / 15.0f;
        if (half_scales) scale = nearest_half(scale);
        const float zero = symmetric ? 8.0f : clamp(-round_even(low / scale), 0.0f, 15.0f);
        round_block(block, w + at, group, scale, zero, 0.0f, 15.0f, row);
        to_nibbles(codes + at / 2, block, group);
        scales[m * G + g] = scale;
        zeros[m * G + g] = static_cast<uint8_t>(zero);
      }
      sums[2 * m] = row.errors;
      sums[2 * m + 1] = row.squares;
    }
  });
}

}  // namespace

Status quantize_int8(ThreadPool& pool, int8_t* codes, float* scales, double* sums, Weight weight, int64_t M, int64_t C) {
  if (weight.dtype == DType::kF32) int8_rows(pool, codes, scales, sums, static_cast<const float*>(weight.data), M, C);
  else if (weight.dtype == DType::kBf16) int8_rows(pool, codes, scales, sums, static_cast<const Bf16*>(weight.data), M, C);
  else int8_rows(pool, codes, scales, sums, static_cast<const F16*>(weight.data), M, C);
  return Status::kOk;
}

Status quantize_int4(ThreadPool& pool, uint8_t* codes, float* scales, uint8_t* zeros, double* sums, Weight weight, int64_t M, int64_t C,
                     int64_t group, bool symmetric, bool half_scales) {
  const auto rows = [&](const auto* w) {
    int4_rows(pool, codes, scales, zeros, sums, w, M, C, group, symmetric, half_scales);
  };
  if (weight.dtype == DType::kF32) rows(static_cast<const float*>(weight.data));
  else if (weight.dtype == DType::kBf16) rows(static_cast<const Bf16*>(weight.data));
  else rows(static_cast<const F16*>(weight.data));
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
