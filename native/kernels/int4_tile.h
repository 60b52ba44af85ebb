// The inner block of products with int4 weights: R rows of codes times one panel of 16 outputs, over a range of groups. Codes stay unsigned
// (0 … 15), so 8 maddubs fit into 16 bits (8 · 2 · 15 · 128 = 30720) before one madd widens them; zero points take z · Σ codes off a
// group's sum. Another instruction set is one more version of int4_tile: VNNI adds up in 32 bits at once with `vpdpbusd`, two lines'
// halves in one AVX-512 register; NEON splits nibbles in the same way and uses `sdot` by lane.
#pragma once

#include "quantised_rows.h"
#if defined(NVILA_ISA_AVX2)
#include "ordered_avx2.h"
#endif

namespace nvila {
namespace NVILA_ISA {

#if defined(NVILA_ISA_AVX512)
constexpr int kInt4Rows = 8;          // rows of a tile: two sums each
#else
constexpr int kInt4Rows = 4;          // 8 sums of 16 lanes, 4 of weights, 1 of codes, 1 in flight
#endif
constexpr int64_t kLineBytes = 64;    // of a block's row: 8 inputs of 16 outputs

// A panel's groups from some group on.
struct Int4Groups {
  const uint8_t* codes;
  const uint8_t* scales;  // [groups][16], f16 or f32
  const uint8_t* zeros;   // [groups][16] or null: all 8
  bool is_f16;            // of scales
};

// Rows of codes from that group on.
struct Int4Codes {
  const int8_t* codes;  // [R][stride]
  int64_t stride;
  const float* scales;  // [R][groups]
  const int32_t* sums;  // [R][groups]
  int64_t groups;       // stride of scales and sums
};

// Vector `v` of the scales of group g.
NVILA_INLINE F32 load_scales(const Int4Groups& weights, int64_t g, int v) {
  const int64_t at = g * kPanel + v * F32::width;
  if (weights.is_f16) return load_weight(reinterpret_cast<const F16*>(weights.scales) + at);
  return load(reinterpret_cast<const float*>(weights.scales) + at);
}

#if defined(NVILA_ISA_AVX512)

// acc[R][16] += (sums − z · sum of codes) · scale of weights · scale of codes, for group g.
template <int R>
NVILA_INLINE void add_group(float* acc, const __m512i (&sums)[R], const Int4Groups& weights, const Int4Codes& x, int64_t g) {
  const F32 scales = load_scales(weights, g, 0);
  const __m512i zeros = weights.zeros ? _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights.zeros + g * kPanel)))
                                      : _mm512_set1_epi32(8);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    // |Σ codes| ≤ 128 · 128 fits 16 bits, and so do zero points: madd is their product.
    const __m512i taken = _mm512_madd_epi16(zeros, _mm512_set1_epi32(x.sums[r * x.groups + g]));
    const F32 value = {_mm512_cvtepi32_ps(_mm512_sub_epi32(sums[r], taken))};
    store(acc + r * kPanel, fma(value, scales * splat(x.scales[r * x.groups + g]), load(acc + r * kPanel)));
  }
}

// sums[R][2] (low nibbles, high nibbles) += a block times codes. `from_bytes`: w is [16 steps][16][4] unpacked, else `keeps` writes
// that to kept.
template <int R, int lines, bool keeps, bool from_bytes>
NVILA_INLINE void add_block(__m512i (&sums)[R][2], const uint8_t* w, const int8_t* codes, int64_t stride, const uint8_t*& ahead, uint8_t* kept) {
  const __m512i nibble = _mm512_set1_epi8(15);
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
    if (j % 4 == 0) {
#pragma GCC unroll 4
      for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, lines == 4 ? 3 : 2);
      ahead += lines * 64;
    }
    const __m512i raw = _mm512_loadu_si512(w + j * kLineBytes);
    const __m512i low = from_bytes ? raw : _mm512_and_si512(raw, nibble);
    const __m512i high = from_bytes ? _mm512_loadu_si512(w + (j + 8) * kLineBytes) : _mm512_and_si512(_mm512_srli_epi16(raw, 4), nibble);
    if (keeps) {
      _mm512_storeu_si512(kept + j * kLineBytes, low);
      _mm512_storeu_si512(kept + (j + 8) * kLineBytes, high);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], low, four_codes(codes + r * stride + 4 * j));
      sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], high, four_codes(codes + r * stride + 32 + 4 * j));
    }
  }
}

// acc[R][16] += codes · weights over groups [0, groups), from nibbles or from bytes.
template <int R, int group, int lines, bool keeps, bool from_bytes>
NVILA_INLINE void add_groups(float* acc, const uint8_t* w, const Int4Groups& weights, const Int4Codes& x, int64_t groups, const uint8_t* ahead,
                             uint8_t* kept) {
  constexpr int64_t kBytes = from_bytes ? 2 * kBlockBytes : kBlockBytes;
  constexpr int kBlocks = group == 128 ? 2 : 1;
  const int8_t* codes = x.codes;
  for (int64_t g = 0; g < groups; g += group == 32 ? 2 : 1) {
    __m512i sums[R][2], of_group[R];
    for (int r = 0; r < R; r++) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int block = 0; block < kBlocks; block++) {
      add_block<R, lines, keeps, from_bytes>(sums, w, codes, x.stride, ahead, kept);
      w += kBytes;
      codes += kBlock;
      kept += 2 * kBlockBytes;
    }
    if (group == 32) {
      for (int r = 0; r < R; r++) of_group[r] = sums[r][0];
      add_group<R>(acc, of_group, weights, x, g);
      for (int r = 0; r < R; r++) of_group[r] = sums[r][1];
      add_group<R>(acc, of_group, weights, x, g + 1);
    } else {
      for (int r = 0; r < R; r++) of_group[r] = _mm512_add_epi32(sums[r][0], sums[r][1]);
      add_group<R>(acc, of_group, weights, x, g);
    }
  }
}

// acc[R][16] += codes · weights over groups [0, groups). Prefetches `lines` lines for every four of weights from `ahead` on.
// `keeps`: unpacked[groups · group / 4][16][4] = the weights, a byte each.
template <int R, int group, int lines, bool keeps>
NVILA_INLINE void int4_tile(float* acc, const Int4Groups& weights, const Int4Codes& x, int64_t groups, const uint8_t* ahead, uint8_t* unpacked) {
  add_groups<R, group, lines, keeps, false>(acc, weights.codes, weights, x, groups, ahead, unpacked);
}

// The same from weights that were unpacked to a byte each: [inputs / 4][16][4]. Prefetches `lines` lines for every 32 inputs.
template <int R, int group, int lines>
NVILA_INLINE void int4_tile_unpacked(float* acc, const uint8_t* unpacked, const Int4Groups& weights, const Int4Codes& x, int64_t groups,
                                     const uint8_t* ahead) {
  add_groups<R, group, lines, false, true>(acc, unpacked, weights, x, groups, ahead, nullptr);
}

#elif defined(NVILA_ISA_AVX2)

NVILA_INLINE void add_products(__m256i (&sums)[2], __m256i w0, __m256i w1, __m256i x) {
  const __m256i a = o_maddubs(w0, x), b = o_maddubs(w1, x);
  o_add16(sums[0], a);
  o_add16(sums[1], b);
}

// sums[R][2] of 16-bit pairs = eight unpacked steps times codes.
template <int R>
NVILA_INLINE void eight_steps(__m256i (&sums)[R][2], const uint8_t* w, const int8_t* codes, int64_t stride) {
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
    const __m256i w0 = o_load(w + j * kLineBytes), w1 = o_load(w + j * kLineBytes + 32);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const __m256i x = o_four(codes + r * stride + 4 * j);
      if (j == 0) {
        sums[r][0] = o_maddubs(w0, x);
        sums[r][1] = o_maddubs(w1, x);
      } else {
        add_products(sums[r], w0, w1, x);
      }
    }
  }
}

// sums[R][2] of 16-bit pairs = four lines of a block, both planes, times codes: 8 maddubs each. `keeps`: the two planes also go to
// kept[16 steps][16][4].
template <int R, int lines, bool keeps>
NVILA_INLINE void four_lines(__m256i (&sums)[R][2], const uint8_t* w, const int8_t* codes, int64_t stride, __m256i nibble, const uint8_t*& ahead,
                             uint8_t* kept) {
#pragma GCC unroll 4
  for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, lines == 4 ? 3 : 2);
  ahead += lines * 64;
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m256i raw0 = o_load(w + j * kLineBytes), raw1 = o_load(w + j * kLineBytes + 32);
    const __m256i low0 = o_and(raw0, nibble), low1 = o_and(raw1, nibble);
    const __m256i high0 = o_and(o_shift_right_4(raw0), nibble), high1 = o_and(o_shift_right_4(raw1), nibble);
    if (keeps) {
      o_store(kept + j * kLineBytes, low0);
      o_store(kept + j * kLineBytes + 32, low1);
      o_store(kept + (j + 8) * kLineBytes, high0);
      o_store(kept + (j + 8) * kLineBytes + 32, high1);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const __m256i x = o_four(codes + r * stride + 4 * j);
      if (j == 0) {
        sums[r][0] = o_maddubs(low0, x);
        sums[r][1] = o_maddubs(low1, x);
      } else {
        add_products(sums[r], low0, low1, x);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const __m256i x = o_four(codes + r * stride + 32 + 4 * j);
      add_products(sums[r], high0, high1, x);
    }
  }
}

// sums[R][2] = eight lines of a block, one plane, times codes: a group of 32. kept[8 steps][16][4]
template <int R, bool is_high, int lines, bool keeps>
NVILA_INLINE void eight_lines(__m256i (&sums)[R][2], const uint8_t* w, const int8_t* codes, int64_t stride, __m256i nibble, const uint8_t*& ahead,
                              uint8_t* kept) {
#pragma GCC unroll 4
  for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, lines == 4 ? 3 : 2);
  ahead += lines * 64;
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
    __m256i w0 = o_load(w + j * kLineBytes), w1 = o_load(w + j * kLineBytes + 32);
    if (is_high) {
      w0 = o_shift_right_4(w0);
      w1 = o_shift_right_4(w1);
    }
    w0 = o_and(w0, nibble);
    w1 = o_and(w1, nibble);
    if (keeps) {
      o_store(kept + j * kLineBytes, w0);
      o_store(kept + j * kLineBytes + 32, w1);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const __m256i x = o_four(codes + r * stride + 4 * j);
      if (j == 0) {
        sums[r][0] = o_maddubs(w0, x);
        sums[r][1] = o_maddubs(w1, x);
      } else {
        add_products(sums[r], w0, w1, x);
      }
    }
  }
}

// acc[R][16] += (group sums − z · sum of codes) · scale of weights · scale of codes, for group g.
template <int R>
NVILA_INLINE void add_group(float* acc, const __m256i (&sums)[R][2], const Int4Groups& weights, const Int4Codes& x, int64_t g) {
  const F32 scale0 = load_scales(weights, g, 0), scale1 = load_scales(weights, g, 1);
  __m256i zero0 = _mm256_set1_epi32(8), zero1 = zero0;
  if (weights.zeros) {
    zero0 = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights.zeros + g * kPanel)));
    zero1 = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights.zeros + g * kPanel + 8)));
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    // |Σ codes| ≤ 128 · 128 fits 16 bits, and so do zero points: madd is their product.
    const __m256i sum = _mm256_set1_epi32(x.sums[r * x.groups + g]);
    const F32 scale = splat(x.scales[r * x.groups + g]);
    float* target = acc + r * kPanel;
    const F32 value0 = {_mm256_cvtepi32_ps(_mm256_sub_epi32(sums[r][0], _mm256_madd_epi16(zero0, sum)))};
    const F32 value1 = {_mm256_cvtepi32_ps(_mm256_sub_epi32(sums[r][1], _mm256_madd_epi16(zero1, sum)))};
    store(target, fma(value0, scale0 * scale, load(target)));
    store(target + 8, fma(value1, scale1 * scale, load(target + 8)));
  }
}

// acc[R][16] += codes · weights over groups [0, groups). Prefetches `lines` lines for every four of weights from `ahead` on.
// `keeps`: unpacked[groups · group / 4][16][4] = the weights, a byte each.
template <int R, int group, int lines, bool keeps>
NVILA_INLINE void int4_tile(float* acc, const Int4Groups& weights, const Int4Codes& x, int64_t groups, const uint8_t* ahead, uint8_t* unpacked) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i ones = _mm256_set1_epi16(1);
  const uint8_t* w = weights.codes;
  const int8_t* codes = x.codes;
  __m256i pairs[R][2], sums[R][2];
  if constexpr (group == 32) {
    for (int64_t g = 0; g < groups; g += 2) {
      eight_lines<R, false, lines, keeps>(pairs, w, codes, x.stride, nibble, ahead, unpacked);
      for (int r = 0; r < R; r++) {
        for (int v = 0; v < 2; v++) sums[r][v] = o_madd(pairs[r][v], ones);
      }
      add_group<R>(acc, sums, weights, x, g);
      eight_lines<R, true, lines, keeps>(pairs, w, codes + 32, x.stride, nibble, ahead, unpacked + 8 * kLineBytes);
      for (int r = 0; r < R; r++) {
        for (int v = 0; v < 2; v++) sums[r][v] = o_madd(pairs[r][v], ones);
      }
      add_group<R>(acc, sums, weights, x, g + 1);
      w += kBlockBytes;
      codes += kBlock;
      unpacked += 2 * kBlockBytes;
    }
  } else {
    for (int64_t g = 0; g < groups; g++) {
#pragma GCC unroll 4
      for (int quarter = 0; quarter < group / 32; quarter++) {
        const int line = (quarter & 1) * 4;
        four_lines<R, lines, keeps>(pairs, w + line * kLineBytes, codes + line * 4, x.stride, nibble, ahead, unpacked + line * kLineBytes);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
          for (int v = 0; v < 2; v++) {
            if (quarter == 0) sums[r][v] = o_madd(pairs[r][v], ones);
            else o_add32(sums[r][v], o_madd(pairs[r][v], ones));
          }
        }
        if (quarter & 1) {
          w += kBlockBytes;
          codes += kBlock;
          unpacked += 2 * kBlockBytes;
        }
      }
      add_group<R>(acc, sums, weights, x, g);
    }
  }
}

// The same from weights that were unpacked to a byte each: [inputs / 4][16][4]. Prefetches `lines` lines for every 32 inputs.
template <int R, int group, int lines>
NVILA_INLINE void int4_tile_unpacked(float* acc, const uint8_t* unpacked, const Int4Groups& weights, const Int4Codes& x, int64_t groups,
                                     const uint8_t* ahead) {
  const __m256i ones = _mm256_set1_epi16(1);
  const int8_t* codes = x.codes;
  __m256i pairs[R][2], sums[R][2];
  for (int64_t g = 0; g < groups; g++) {
#pragma GCC unroll 4
    for (int part = 0; part < group / 32; part++) {
      for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * 64, 0, 2);
      ahead += lines * 64;
      eight_steps<R>(pairs, unpacked, codes, x.stride);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
        for (int v = 0; v < 2; v++) {
          if (part == 0) sums[r][v] = o_madd(pairs[r][v], ones);
          else o_add32(sums[r][v], o_madd(pairs[r][v], ones));
        }
      }
      unpacked += 8 * kLineBytes;
      codes += 32;
    }
    add_group<R>(acc, sums, weights, x, g);
  }
}

#else

template <int R, int group, int lines, bool keeps>
NVILA_INLINE void int4_tile(float* acc, const Int4Groups& weights, const Int4Codes& x, int64_t groups, const uint8_t*, uint8_t*) {
  for (int r = 0; r < R; r++) {
    for (int64_t g = 0; g < groups; g++) {
      int32_t sums[kPanel] = {};
      for (int64_t k = g * group; k < (g + 1) * group; k++) {
        const int64_t in_plane = k % 32;
        const uint8_t* line = weights.codes + k / kBlock * kBlockBytes + in_plane / 4 * kLineBytes;
        const int shift = k % kBlock < 32 ? 0 : 4;
        const int32_t code = x.codes[r * x.stride + k];
        for (int m = 0; m < kPanel; m++) sums[m] += ((line[m * 4 + in_plane % 4] >> shift) & 15) * code;
      }
      const int32_t sum = x.sums[r * x.groups + g];
      const float scale = x.scales[r * x.groups + g];
      for (int m = 0; m < kPanel; m++) {
        const int32_t value = sums[m] - (weights.zeros ? weights.zeros[g * kPanel + m] : 8) * sum;
        acc[r * kPanel + m] += static_cast<float>(value) * (load_scales(weights, g, m).v * scale);
      }
    }
  }
}

template <int R, int group, int lines>
NVILA_INLINE void int4_tile_unpacked(float* acc, const uint8_t*, const Int4Groups& weights, const Int4Codes& x, int64_t groups, const uint8_t*) {
  int4_tile<R, group, 0, false>(acc, weights, x, groups, nullptr, nullptr);
}

#endif

}  // namespace NVILA_ISA
}  // namespace nvila
