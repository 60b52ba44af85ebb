// Rows of f32 activations to int8 or int16 codes: the largest magnitude, then one division and one rounding per element. A division and not
// a product with the reciprocal: that one rounds a few codes in a thousand differently, and codes are compared exactly.
#include "quantised_rows.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kChunk = 32;  // elements at a time
constexpr float kInt8Levels = 127.0f;
// Of codes of 1, 2 and 3 bytes: 127 · 256^n.
constexpr float kInt4Levels[3] = {127.0f, 32512.0f, 8323072.0f};

// The scale of n values: amax / levels; 0 for zeros; NaN when one is not finite. Magnitudes are compared as integers, which orders
// infinities and NaN behind all numbers.
NVILA_INLINE float scale_of(const float* x, int64_t n, float levels) {
  int64_t i = 0;
  int32_t largest = 0;
#if defined(NVILA_ISA_AVX2)
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i m[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 4; j++) {
      const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i + 8 * j));
      m[j] = _mm256_max_epi32(m[j], _mm256_and_si256(bits, magnitude));
    }
  }
  m[0] = _mm256_max_epi32(_mm256_max_epi32(m[0], m[1]), _mm256_max_epi32(m[2], m[3]));
  int32_t lanes[8];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), m[0]);
  for (int j = 0; j < 8; j++) largest = lanes[j] > largest ? lanes[j] : largest;
#endif
  for (; i < n; i++) {
    int32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  if (largest >= 0x7f800000) return bits_to_float(0x7fc00000u);
  return bits_to_float(static_cast<uint32_t>(largest)) / levels;
}

// The nearest integer, ties to even; |x| < 2^31.
NVILA_INLINE int32_t round_half_even(float x) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 · 2^52
  return static_cast<int32_t>((static_cast<double>(x) + kMagic) - kMagic);
}

NVILA_INLINE int32_t code_of(float x, float scale, int32_t levels) {
  const int32_t code = round_half_even(x / scale);
  return code > levels ? levels : code < -levels ? -levels : code;  // beyond only where the scale is subnormal
}

// Takes out of four codes what a pair has too much.
NVILA_INLINE void take_excess(int8_t* codes, int8_t* excess) {
  for (int pair = 0; pair < 4; pair += 2) {
    const int a = codes[pair], b = codes[pair + 1], sum = a + b;
    const int kept = sum > 128 ? 128 - a : sum < -128 ? -128 - a : b;
    excess[pair] = 0;
    excess[pair + 1] = static_cast<int8_t>(b - kept);
    codes[pair + 1] = static_cast<int8_t>(kept);
  }
}

// codes[32] of x[32]; *sum: Σ codes. A bit for every four that hold a pair of more than 128.
NVILA_INLINE uint32_t codes_of_chunk(int8_t* codes, const float* x, float scale, int32_t* sum) {
#if defined(NVILA_ISA_AVX2)
  const __m256 divisor = _mm256_set1_ps(scale);
  __m256i q[4];
  for (int j = 0; j < 4; j++) q[j] = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x + 8 * j), divisor));
  // Packing works within halves: lanes 0 4 1 5 2 6 3 7 put them in order.
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i ordered = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m256i clamped = _mm256_max_epi8(ordered, _mm256_set1_epi8(-127));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), clamped);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), clamped);
  __m256i total = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  *sum = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
  const __m256i large = _mm256_cmpgt_epi16(_mm256_abs_epi16(pairs), _mm256_set1_epi16(128));
  const __m256i fours = _mm256_cmpeq_epi32(large, _mm256_setzero_si256());
  return 255u & ~static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(fours)));
#else
  uint32_t large = 0;
  *sum = 0;
  for (int i = 0; i < kChunk; i++) {
    codes[i] = static_cast<int8_t>(code_of(x[i], scale, 127));
    *sum += codes[i];
    const int pair = i % 2 ? codes[i - 1] + codes[i] : 0;
    if (pair > 128 || pair < -128) large |= 1u << (i / 4);
  }
  return large;
#endif
}

// f(codes offset, 32 values) for x[C] in chunks, the last one filled up with zeros.
template <typename F>
NVILA_INLINE void each_chunk(const float* x, int64_t C, F&& f) {
  int64_t c = 0;
  for (; c + kChunk <= C; c += kChunk) f(c, x + c);
  if (c == C) return;
  float last[kChunk] = {};
  std::memcpy(last, x + c, static_cast<size_t>(C - c) * sizeof(float));
  f(c, last);
}

void zero(int8_t* p, int64_t n) { std::memset(p, 0, static_cast<size_t>(n)); }

}  // namespace

void quantize_int8_row(const Int8Rows& rows, int64_t t, const float* x, int64_t C) {
  int8_t* codes = rows.codes + t * rows.stride;
  Excess* list = rows.excess + t * rows.most;
  int32_t sum = 0;
  int64_t count = 0;
  const float scale = scale_of(x, C, kInt8Levels);
  rows.scales[t] = scale;
  if (scale > 0) {
    each_chunk(x, C, [&](int64_t c, const float* values) {
      int32_t part;
      uint32_t large = codes_of_chunk(codes + c, values, scale, &part);
      sum += part;
      for (; large != 0; large &= large - 1) {
        const int64_t i = c + 4 * __builtin_ctz(large);
        take_excess(codes + i, list[count].codes);
        list[count++].step = static_cast<int32_t>(i / 4);
      }
    });
    const int64_t written = up_to_multiple(C, kChunk);
    zero(codes + written, rows.stride - written);
  } else {
    zero(codes, rows.stride);
  }
  for (; count % 4 != 0; count++) list[count] = Excess{0, {0, 0, 0, 0}};
  rows.sums[t] = sum;
  rows.counts[t] = static_cast<int32_t>(count);
}

void quantize_int4_row(const Int4Rows& rows, int64_t t, const float* x, int64_t C, int64_t group, int64_t bytes) {
  const int64_t first = bytes * t, last = first + bytes - 1;
  const float levels = kInt4Levels[bytes - 1];
  for (int64_t g = 0; g < rows.groups; g++) {
    const int64_t c = g * group;
    const float scale = c < C ? scale_of(x + c, group, levels) : 0.0f;
    float of_byte = scale;
    for (int64_t row = last; row >= first; row--) {
      rows.scales[row * rows.groups + g] = of_byte;
      rows.sums[row * rows.groups + g] = 0;
      of_byte *= 256.0f;
    }
    if (!(scale > 0)) {
      for (int64_t row = first; row <= last; row++) zero(rows.codes + row * rows.stride + c, group);
      continue;
    }
    if (bytes == 1) {
      for (int64_t i = 0; i < group; i += kChunk) {
        int32_t part;
        codes_of_chunk(rows.codes + first * rows.stride + c + i, x + c + i, scale, &part);
        rows.sums[first * rows.groups + g] += part;
      }
      continue;
    }
    for (int64_t i = c; i < c + group; i++) {
      int32_t code = code_of(x[i], scale, static_cast<int32_t>(levels));
      for (int64_t row = last; row >= first; row--) {
        const int32_t byte = ((code + 128) & 255) - 128;
        rows.codes[row * rows.stride + i] = static_cast<int8_t>(byte);
        rows.sums[row * rows.groups + g] += byte;
        code = (code - byte) >> 8;
      }
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
