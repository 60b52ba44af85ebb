// F32: a vector of F32::width floats, so that a kernel is written once. This file is compiled once per instruction set, each
// time into its own namespace NVILA_ISA (a macro that the Makefile sets: scalar, avx2, avx512). A new set is one more block with
// the same functions. scalar is the definition: width 1, plain C++.
// Kernels must not call inline library templates across namespaces (std::max, std::vector): the linker keeps one copy for all
// sets, and that may be one that this processor cannot run. Use what is here.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(NVILA_ISA_AVX2) || defined(NVILA_ISA_AVX512)
#include <immintrin.h>
#endif

#define NVILA_INLINE static inline __attribute__((always_inline))

namespace nvila {
namespace NVILA_ISA {

// — 16-bit floats, one at a time —

NVILA_INLINE float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Any address: weights come from memory-mapped files, where an element may lie at an odd place.
template <typename T>
NVILA_INLINE T load_any(const T* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

NVILA_INLINE float bf16_to_f32(uint16_t bits) { return bits_to_float(static_cast<uint32_t>(bits) << 16); }

// Exact, subnormals, infinities and NaN included.
NVILA_INLINE float f16_to_f32(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t fraction = half & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 5.9604644775390625e-8f;  // 2^-24
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31) {
    const uint32_t quiet = fraction ? 0x400000u : 0;
    return bits_to_float(sign | 0x7f800000u | quiet | (fraction << 13));
  }
  return bits_to_float(sign | ((exponent + 112) << 23) | (fraction << 13));
}

#if defined(NVILA_ISA_AVX2)

struct F32 {
  static constexpr int width = 8;
  __m256 v;
};

NVILA_INLINE F32 zero() { return {_mm256_setzero_ps()}; }
NVILA_INLINE F32 splat(float x) { return {_mm256_set1_ps(x)}; }
NVILA_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
NVILA_INLINE void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
NVILA_INLINE F32 load_bf16(const uint16_t* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16))};
}
NVILA_INLINE F32 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
// F32::width codes as numbers.
NVILA_INLINE F32 load_i8(const int8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
// The first `count` lanes (0 … width); the others are 0 and not read or written.
NVILA_INLINE __m256i lane_mask(int count) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes);
}
NVILA_INLINE F32 load_first(const float* p, int count) { return {_mm256_maskload_ps(p, lane_mask(count))}; }
NVILA_INLINE void store_first(float* p, F32 a, int count) { _mm256_maskstore_ps(p, lane_mask(count), a.v); }
NVILA_INLINE F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
// a · b + c, rounded once where the set has it.
NVILA_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
// b where a lane is NaN in either (as the instruction does).
NVILA_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
NVILA_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
NVILA_INLINE F32 sqrt(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
NVILA_INLINE F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
// Lanes of a where x < y, of b elsewhere, so also where x or y is NaN.
NVILA_INLINE F32 where_less(F32 x, F32 y, F32 a, F32 b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_cmp_ps(x.v, y.v, _CMP_LT_OQ))};
}
// The 32 bits of every lane, 23 to the left: the low bits of a become the exponent of the result.
NVILA_INLINE F32 bits_to_exponent(F32 a) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), 23))}; }
// Lanes added in a fixed tree.
NVILA_INLINE float sum_lanes(F32 a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
// out[0 … 3] = the lanes of a, b, c and d, each added in a fixed tree.
NVILA_INLINE void store_sums(float* out, F32 a, F32 b, F32 c, F32 d) {
  const __m256 x = _mm256_hadd_ps(_mm256_hadd_ps(a.v, b.v), _mm256_hadd_ps(c.v, d.v));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1)));
}
NVILA_INLINE float max_lanes(F32 a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

// Turns width rows of width lanes around their diagonal.
NVILA_INLINE void transpose(F32 (&r)[8]) {
  const __m256 a0 = _mm256_unpacklo_ps(r[0].v, r[1].v), a1 = _mm256_unpackhi_ps(r[0].v, r[1].v);
  const __m256 a2 = _mm256_unpacklo_ps(r[2].v, r[3].v), a3 = _mm256_unpackhi_ps(r[2].v, r[3].v);
  const __m256 a4 = _mm256_unpacklo_ps(r[4].v, r[5].v), a5 = _mm256_unpackhi_ps(r[4].v, r[5].v);
  const __m256 a6 = _mm256_unpacklo_ps(r[6].v, r[7].v), a7 = _mm256_unpackhi_ps(r[6].v, r[7].v);
  const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee);
  const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
  const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee);
  const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
  r[0].v = _mm256_permute2f128_ps(b0, b4, 0x20);
  r[1].v = _mm256_permute2f128_ps(b1, b5, 0x20);
  r[2].v = _mm256_permute2f128_ps(b2, b6, 0x20);
  r[3].v = _mm256_permute2f128_ps(b3, b7, 0x20);
  r[4].v = _mm256_permute2f128_ps(b0, b4, 0x31);
  r[5].v = _mm256_permute2f128_ps(b1, b5, 0x31);
  r[6].v = _mm256_permute2f128_ps(b2, b6, 0x31);
  r[7].v = _mm256_permute2f128_ps(b3, b7, 0x31);
}

// Four doubles, for statistics that f32 sums would lose.
struct F64 {
  static constexpr int width = 4;
  __m256d v;
};

NVILA_INLINE F64 splat64(double x) { return {_mm256_set1_pd(x)}; }
// F64::width floats, widened.
NVILA_INLINE F64 load64(const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
NVILA_INLINE F64 operator+(F64 a, F64 b) { return {_mm256_add_pd(a.v, b.v)}; }
NVILA_INLINE F64 operator-(F64 a, F64 b) { return {_mm256_sub_pd(a.v, b.v)}; }
NVILA_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
NVILA_INLINE double sum_lanes(F64 a) {
  const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#elif defined(NVILA_ISA_AVX512)

struct F32 {
  static constexpr int width = 16;
  __m512 v;
};

NVILA_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
NVILA_INLINE F32 splat(float x) { return {_mm512_set1_ps(x)}; }
NVILA_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
NVILA_INLINE void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
NVILA_INLINE F32 load_bf16(const uint16_t* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
}
NVILA_INLINE F32 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
NVILA_INLINE F32 load_i8(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
// The same four codes in every lane.
NVILA_INLINE __m512i four_codes(const int8_t* p) { return _mm512_set1_epi32(load_any(reinterpret_cast<const int32_t*>(p))); }
NVILA_INLINE __mmask16 lane_mask(int count) { return static_cast<__mmask16>((1u << count) - 1); }
NVILA_INLINE F32 load_first(const float* p, int count) { return {_mm512_maskz_loadu_ps(lane_mask(count), p)}; }
NVILA_INLINE void store_first(float* p, F32 a, int count) { _mm512_mask_storeu_ps(p, lane_mask(count), a.v); }
NVILA_INLINE F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
NVILA_INLINE F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
NVILA_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
NVILA_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
NVILA_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
NVILA_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
NVILA_INLINE F32 abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
NVILA_INLINE F32 where_less(F32 x, F32 y, F32 a, F32 b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, y.v, _CMP_LT_OQ), b.v, a.v)};
}
NVILA_INLINE F32 bits_to_exponent(F32 a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 23))}; }
NVILA_INLINE __m256 upper_half(F32 a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1)); }
NVILA_INLINE __m256 add_halves(F32 a) { return _mm256_add_ps(_mm512_castps512_ps256(a.v), upper_half(a)); }
NVILA_INLINE float sum_lanes(F32 a) {
  const __m256 half = add_halves(a);
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
NVILA_INLINE void store_sums(float* out, F32 a, F32 b, F32 c, F32 d) {
  const __m256 x = _mm256_hadd_ps(_mm256_hadd_ps(add_halves(a), add_halves(b)), _mm256_hadd_ps(add_halves(c), add_halves(d)));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1)));
}
NVILA_INLINE float max_lanes(F32 a) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), upper_half(a));
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

NVILA_INLINE void transpose(F32 (&r)[16]) {
  // Within quarters of a register first: 4 × 4 blocks turn where they are; then the blocks change places.
  __m512 t[16];
  for (int i = 0; i < 16; i += 4) {
    const __m512 a0 = _mm512_unpacklo_ps(r[i].v, r[i + 1].v), a1 = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
    const __m512 a2 = _mm512_unpacklo_ps(r[i + 2].v, r[i + 3].v), a3 = _mm512_unpackhi_ps(r[i + 2].v, r[i + 3].v);
    t[i] = _mm512_shuffle_ps(a0, a2, 0x44);
    t[i + 1] = _mm512_shuffle_ps(a0, a2, 0xee);
    t[i + 2] = _mm512_shuffle_ps(a1, a3, 0x44);
    t[i + 3] = _mm512_shuffle_ps(a1, a3, 0xee);
  }
  for (int i = 0; i < 4; i++) {
    const __m512 b0 = _mm512_shuffle_f32x4(t[i], t[4 + i], 0x88), b1 = _mm512_shuffle_f32x4(t[i], t[4 + i], 0xdd);
    const __m512 b2 = _mm512_shuffle_f32x4(t[8 + i], t[12 + i], 0x88), b3 = _mm512_shuffle_f32x4(t[8 + i], t[12 + i], 0xdd);
    r[i].v = _mm512_shuffle_f32x4(b0, b2, 0x88);
    r[4 + i].v = _mm512_shuffle_f32x4(b1, b3, 0x88);
    r[8 + i].v = _mm512_shuffle_f32x4(b0, b2, 0xdd);
    r[12 + i].v = _mm512_shuffle_f32x4(b1, b3, 0xdd);
  }
}

struct F64 {
  static constexpr int width = 8;
  __m512d v;
};

NVILA_INLINE F64 splat64(double x) { return {_mm512_set1_pd(x)}; }
NVILA_INLINE F64 load64(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
NVILA_INLINE F64 operator+(F64 a, F64 b) { return {_mm512_add_pd(a.v, b.v)}; }
NVILA_INLINE F64 operator-(F64 a, F64 b) { return {_mm512_sub_pd(a.v, b.v)}; }
NVILA_INLINE F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
NVILA_INLINE double sum_lanes(F64 a) {
  const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
  return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#else

struct F32 {
  static constexpr int width = 1;
  float v;
};

NVILA_INLINE F32 zero() { return {0.0f}; }
NVILA_INLINE F32 splat(float x) { return {x}; }
NVILA_INLINE F32 load(const float* p) { return {load_any(p)}; }
NVILA_INLINE void store(float* p, F32 a) { *p = a.v; }
NVILA_INLINE F32 load_bf16(const uint16_t* p) { return {bf16_to_f32(load_any(p))}; }
NVILA_INLINE F32 load_f16(const uint16_t* p) { return {f16_to_f32(load_any(p))}; }
NVILA_INLINE F32 load_i8(const int8_t* p) { return {static_cast<float>(*p)}; }
NVILA_INLINE F32 load_first(const float* p, int count) { return {count > 0 ? load_any(p) : 0.0f}; }
NVILA_INLINE void store_first(float* p, F32 a, int count) {
  if (count > 0) *p = a.v;
}
NVILA_INLINE F32 operator+(F32 a, F32 b) { return {a.v + b.v}; }
NVILA_INLINE F32 operator-(F32 a, F32 b) { return {a.v - b.v}; }
NVILA_INLINE F32 operator*(F32 a, F32 b) { return {a.v * b.v}; }
NVILA_INLINE F32 operator/(F32 a, F32 b) { return {a.v / b.v}; }
NVILA_INLINE F32 fma(F32 a, F32 b, F32 c) { return {a.v * b.v + c.v}; }
NVILA_INLINE F32 max(F32 a, F32 b) { return {a.v > b.v ? a.v : b.v}; }
NVILA_INLINE F32 min(F32 a, F32 b) { return {a.v < b.v ? a.v : b.v}; }
NVILA_INLINE F32 sqrt(F32 a) { return {__builtin_sqrtf(a.v)}; }
NVILA_INLINE F32 abs(F32 a) { return {__builtin_fabsf(a.v)}; }
NVILA_INLINE F32 where_less(F32 x, F32 y, F32 a, F32 b) { return {x.v < y.v ? a.v : b.v}; }
NVILA_INLINE F32 bits_to_exponent(F32 a) {
  uint32_t bits;
  std::memcpy(&bits, &a.v, sizeof bits);
  return {bits_to_float(bits << 23)};
}
NVILA_INLINE float sum_lanes(F32 a) { return a.v; }
NVILA_INLINE void store_sums(float* out, F32 a, F32 b, F32 c, F32 d) {
  out[0] = a.v;
  out[1] = b.v;
  out[2] = c.v;
  out[3] = d.v;
}
NVILA_INLINE float max_lanes(F32 a) { return a.v; }
NVILA_INLINE void transpose(F32 (&)[1]) {}

struct F64 {
  static constexpr int width = 1;
  double v;
};

NVILA_INLINE F64 splat64(double x) { return {x}; }
NVILA_INLINE F64 load64(const float* p) { return {static_cast<double>(load_any(p))}; }
NVILA_INLINE F64 operator+(F64 a, F64 b) { return {a.v + b.v}; }
NVILA_INLINE F64 operator-(F64 a, F64 b) { return {a.v - b.v}; }
NVILA_INLINE F64 fma(F64 a, F64 b, F64 c) { return {a.v * b.v + c.v}; }
NVILA_INLINE double sum_lanes(F64 a) { return a.v; }

#endif

// — weights of any stored dtype, widened to f32 —

NVILA_INLINE F32 load_weight(const float* p) { return load(p); }

// bf16 and f16 are both 16 bits in memory; these types tell them apart.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};
NVILA_INLINE F32 load_weight(const Bf16* p) { return load_bf16(reinterpret_cast<const uint16_t*>(p)); }
NVILA_INLINE F32 load_weight(const F16* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }
NVILA_INLINE float widen(const float* p) { return load_any(p); }
NVILA_INLINE float widen(const Bf16* p) { return bf16_to_f32(load_any(p).bits); }
NVILA_INLINE float widen(const F16* p) { return f16_to_f32(load_any(p).bits); }

NVILA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
NVILA_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
NVILA_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace NVILA_ISA
}  // namespace nvila
