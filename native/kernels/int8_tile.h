// The inner block of products with int8 weights: R rows of codes times one panel of 16 outputs. Another instruction set is one more
// version of the two functions here: with VNNI `vpdpbusd` takes the place of maddubs, madd and add, and an AVX-512 register is one line of
// the panel; NEON loads a line as four registers, flips their top bits and uses `sdot` by lane, or
// `usdot` as they are. Those have no 16-bit sums: rows without excess lists will do for them.
#pragma once

#include "quantised_rows.h"
#if defined(NVILA_ISA_AVX2)
#include "ordered_avx2.h"
#endif

namespace nvila {
namespace NVILA_ISA {

#if defined(NVILA_ISA_AVX512)
constexpr int kInt8Rows = 12;                // rows of a tile: 12 sums hide the latency of vpdpbusd (5 cycles, two units)
#else
constexpr int kInt8Rows = 4;                 // 8 sums of 8 outputs, 2 of weights, 1 of codes, 1 of ones, and 1 in flight
#endif
constexpr int64_t kStepBytes = 4 * kPanel;   // of a step: 4 inputs of 16 outputs

// sums[R][16] (+)= Σ over `steps` (a multiple of 4) of weights[step][16][4] · codes[R][step][4]; `first`: sums start at 0. Prefetches
// `lines` lines for every 4 steps from `ahead` on.
template <int R, int lines>
NVILA_INLINE void int8_tile(int32_t* sums, const uint8_t* weights, const int8_t* codes, int64_t stride, int64_t steps, bool first,
                            const uint8_t* ahead) {
#if defined(NVILA_ISA_AVX512)
  constexpr int K = R <= 2 ? 4 : R <= 5 ? 2 : 1;  // sums of a row, so that some ten are in flight
  __m512i acc[R][K];
  for (int r = 0; r < R; r++) {
    for (int k = 0; k < K; k++) acc[r][k] = first || k > 0 ? _mm512_setzero_si512() : _mm512_loadu_si512(sums + r * kPanel);
  }
  for (int64_t s = 0; s < steps; s += 4) {
#pragma GCC unroll 4
    for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, lines == 4 ? 3 : 2);
    ahead += lines * 64;
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) {
      const __m512i w = _mm512_loadu_si512(weights + u * kStepBytes);
#pragma GCC unroll 12
      for (int r = 0; r < R; r++) acc[r][u % K] = _mm512_dpbusd_epi32(acc[r][u % K], w, four_codes(codes + r * stride + 4 * u));
    }
    weights += 4 * kStepBytes;
    codes += 16;
  }
  for (int r = 0; r < R; r++) {
    for (int k = 1; k < K; k++) acc[r][0] = _mm512_add_epi32(acc[r][0], acc[r][k]);
    _mm512_storeu_si512(sums + r * kPanel, acc[r][0]);
  }
#elif defined(NVILA_ISA_AVX2)
  __m256i acc[R][2];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < 2; v++) {
      acc[r][v] = first ? _mm256_setzero_si256() : _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + r * kPanel + 8 * v));
    }
  }
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t s = 0; s < steps; s += 4) {
#pragma GCC unroll 4
    for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, lines == 4 ? 3 : 2);
    ahead += lines * 64;
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) {
      const __m256i w0 = o_load(weights + u * kStepBytes), w1 = o_load(weights + u * kStepBytes + 32);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
        const __m256i x = o_four(codes + r * stride + 4 * u);
        o_add32(acc[r][0], o_madd(o_maddubs(w0, x), ones));
        o_add32(acc[r][1], o_madd(o_maddubs(w1, x), ones));
      }
    }
    weights += 4 * kStepBytes;
    codes += 16;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < 2; v++) _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + r * kPanel + 8 * v), acc[r][v]);
  }
#else
  (void)ahead;
  for (int r = 0; r < R; r++) {
    int32_t acc[kPanel];
    for (int m = 0; m < kPanel; m++) acc[m] = first ? 0 : sums[r * kPanel + m];
    for (int64_t s = 0; s < steps; s++) {
      for (int m = 0; m < kPanel; m++) {
        for (int i = 0; i < 4; i++) acc[m] += weights[s * kStepBytes + m * 4 + i] * codes[r * stride + 4 * s + i];
      }
    }
    for (int m = 0; m < kPanel; m++) sums[r * kPanel + m] = acc[m];
  }
#endif
}

// out[16] = (sums + excess of the row − 128 · sum of its codes) · its scale · scales + bias, as f32.
NVILA_INLINE void int8_finish(float* out, const int32_t* sums, const uint8_t* weights, const Excess* excess, int64_t count, int32_t sum,
                              float scale, const float* scales, const float* bias) {
#if defined(NVILA_ISA_AVX512)
  (void)weights, (void)excess, (void)count;
  const F32 value = {_mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(sums), _mm512_set1_epi32(128 * sum)))};
  store(out, fma(value, splat(scale) * load(scales), load(bias)));
#elif defined(NVILA_ISA_AVX2)
  __m256i acc[2];
  for (int v = 0; v < 2; v++) {
    acc[v] = _mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + 8 * v)), _mm256_set1_epi32(128 * sum));
  }
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < count; i += 4) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) {
      int32_t four;
      std::memcpy(&four, excess[i + u].codes, 4);
      const __m256i x = _mm256_set1_epi32(four);
      const uint8_t* line = weights + excess[i + u].step * kStepBytes;
      for (int v = 0; v < 2; v++) {
        const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line + 32 * v));
        acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones));
      }
    }
  }
  for (int v = 0; v < 2; v++) {
    const F32 factor = splat(scale) * load(scales + 8 * v);
    store(out + 8 * v, fma({_mm256_cvtepi32_ps(acc[v])}, factor, load(bias + 8 * v)));
  }
#else
  for (int m = 0; m < kPanel; m++) {
    int32_t acc = sums[m] - 128 * sum;
    for (int64_t i = 0; i < count; i++) {
      for (int j = 0; j < 4; j++) acc += weights[excess[i].step * kStepBytes + m * 4 + j] * excess[i].codes[j];
    }
    out[m] = static_cast<float>(acc) * (scale * load_any(scales + m)) + bias[m];
  }
#endif
}

}  // namespace NVILA_ISA
}  // namespace nvila
