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
#if defined(NVILA_ISA_AVX512)
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i m[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 2; j++) m[j] = _mm512_max_epi32(m[j], _mm512_and_si512(_mm512_loadu_si512(x + i + 16 * j), magnitude));
  }
  largest = _mm512_reduce_max_epi32(_mm512_max_epi32(m[0], m[1]));
#elif defined(NVILA_ISA_AVX2)
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

// Σ codes of chunks.
struct CodeSum {
#if defined(NVILA_ISA_AVX512)
  __m512i lanes = _mm512_setzero_si512();
  void add(__m256i codes) { lanes = _mm512_dpbusd_epi32(lanes, _mm512_set1_epi8(1), _mm512_zextsi256_si512(codes)); }
  int32_t total() const { return _mm512_reduce_add_epi32(lanes); }
#elif defined(NVILA_ISA_AVX2)
  __m256i lanes = _mm256_setzero_si256();
  // Adds what maddubs gave for codes: sums of pairs.
  void add_pairs(__m256i pairs) { lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))); }
  int32_t total() const {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
  }
#else
  int32_t sum = 0;
  int32_t total() const { return sum; }
#endif
};

#if defined(NVILA_ISA_AVX512)

// x[16] / scale to the nearest, ties to even.
NVILA_INLINE __m512i quotients(const float* x, __m512 scale) { return _mm512_cvtps_epi32(_mm512_div_ps(_mm512_loadu_ps(x), scale)); }

NVILA_INLINE __m256i join(__m128i low, __m128i high) { return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1); }

NVILA_INLINE void store_codes(int8_t* codes, __m256i bytes) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), bytes); }

#elif defined(NVILA_ISA_AVX2)

// x[8] / scale to the nearest, ties to even.
NVILA_INLINE __m256i quotients(const float* x, __m256 scale) { return _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x), scale)); }

// Packing works within halves: lanes 0 4 1 5 2 6 3 7 put them in order.
NVILA_INLINE __m256i in_order(__m256i packed) {
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

NVILA_INLINE void store_codes(int8_t* codes, __m256i bytes) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), bytes); }

#endif

// codes[32] of x[32], added to sum. A bit for every four that hold a pair of more than 128, where that matters (kHasExcess).
NVILA_INLINE uint32_t codes_of_chunk(int8_t* codes, const float* x, float scale, CodeSum& sum) {
#if defined(NVILA_ISA_AVX512)
  const __m512 divisor = _mm512_set1_ps(scale);
  const __m256i narrow = join(_mm512_cvtsepi32_epi8(quotients(x, divisor)), _mm512_cvtsepi32_epi8(quotients(x + 16, divisor)));
  const __m256i clamped = _mm256_max_epi8(narrow, _mm256_set1_epi8(-127));
  store_codes(codes, clamped);
  sum.add(clamped);
  return 0;
#elif defined(NVILA_ISA_AVX2)
  const __m256 divisor = _mm256_set1_ps(scale);
  __m256i q[4];
  for (int j = 0; j < 4; j++) q[j] = quotients(x + 8 * j, divisor);
  const __m256i packed = in_order(_mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3])));
  const __m256i clamped = _mm256_max_epi8(packed, _mm256_set1_epi8(-127));
  store_codes(codes, clamped);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), clamped);
  sum.add_pairs(pairs);
  const __m256i large = _mm256_cmpgt_epi16(_mm256_abs_epi16(pairs), _mm256_set1_epi16(128));
  const __m256i fours = _mm256_cmpeq_epi32(large, _mm256_setzero_si256());
  return 255u & ~static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(fours)));
#else
  uint32_t large = 0;
  for (int i = 0; i < kChunk; i++) {
    codes[i] = static_cast<int8_t>(code_of(x[i], scale, 127));
    sum.sum += codes[i];
    const int pair = kHasExcess && i % 2 ? codes[i - 1] + codes[i] : 0;
    if (pair > 128 || pair < -128) large |= 1u << (i / 4);
  }
  return large;
#endif
}

// Codes of `bytes` bytes of x[32] to rows of codes, `stride` apart, from the highest byte down; sums[bytes] likewise.
// A byte −128 … 127 of a code is its lowest eight bits; what is left of the code is (code + 128) >> 8.
template <int bytes>
NVILA_INLINE void long_codes_of_chunk(int8_t* codes, int64_t stride, const float* x, float scale, CodeSum (&sums)[bytes]) {
  const int32_t levels = static_cast<int32_t>(kInt4Levels[bytes - 1]);
#if defined(NVILA_ISA_AVX512)
  const __m512 divisor = _mm512_set1_ps(scale);
  const __m512i most = _mm512_set1_epi32(levels), least = _mm512_set1_epi32(-levels), half = _mm512_set1_epi32(128);
  __m512i q[2];
  for (int j = 0; j < 2; j++) q[j] = _mm512_max_epi32(least, _mm512_min_epi32(most, quotients(x + 16 * j, divisor)));
#pragma GCC unroll 3
  for (int row = bytes - 1; row >= 0; row--) {
    const __m256i low = join(_mm512_cvtepi32_epi8(q[0]), _mm512_cvtepi32_epi8(q[1]));
    store_codes(codes + row * stride, low);
    sums[row].add(low);
    for (int j = 0; j < 2; j++) q[j] = _mm512_srai_epi32(_mm512_add_epi32(q[j], half), 8);
  }
#elif defined(NVILA_ISA_AVX2)
  const __m256 divisor = _mm256_set1_ps(scale);
  const __m256i most = _mm256_set1_epi32(levels), least = _mm256_set1_epi32(-levels);
  const __m256i low = _mm256_set1_epi32(255), half = _mm256_set1_epi32(128);
  __m256i q[4];
  for (int j = 0; j < 4; j++) q[j] = _mm256_max_epi32(least, _mm256_min_epi32(most, quotients(x + 8 * j, divisor)));
#pragma GCC unroll 3
  for (int row = bytes - 1; row >= 0; row--) {
    __m256i b[4];
    for (int j = 0; j < 4; j++) b[j] = _mm256_and_si256(q[j], low);
    const __m256i packed = in_order(_mm256_packus_epi16(_mm256_packus_epi32(b[0], b[1]), _mm256_packus_epi32(b[2], b[3])));
    store_codes(codes + row * stride, packed);
    sums[row].add_pairs(_mm256_maddubs_epi16(_mm256_set1_epi8(1), packed));
    for (int j = 0; j < 4; j++) q[j] = _mm256_srai_epi32(_mm256_add_epi32(q[j], half), 8);
  }
#else
  for (int i = 0; i < kChunk; i++) {
    int32_t code = code_of(x[i], scale, levels);
    for (int row = bytes - 1; row >= 0; row--) {
      const int32_t byte = ((code + 128) & 255) - 128;
      codes[row * stride + i] = static_cast<int8_t>(byte);
      sums[row].sum += byte;
      code = (code - byte) >> 8;
    }
  }
#endif
}

// A group of x in codes of `bytes` bytes; *sums, `groups` apart: of each row's codes.
template <int bytes>
NVILA_INLINE void long_codes(int8_t* codes, int64_t stride, int32_t* sums, int64_t groups, const float* x, int64_t group, float scale) {
  CodeSum of_rows[bytes];
  for (int64_t i = 0; i < group; i += kChunk) long_codes_of_chunk<bytes>(codes + i, stride, x + i, scale, of_rows);
  for (int row = 0; row < bytes; row++) sums[row * groups] = of_rows[row].total();
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
  CodeSum sum;
  int64_t count = 0;
  const float scale = scale_of(x, C, kInt8Levels);
  rows.scales[t] = scale;
  if (scale > 0) {
    each_chunk(x, C, [&](int64_t c, const float* values) {
      uint32_t large = codes_of_chunk(codes + c, values, scale, sum);
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
  rows.sums[t] = sum.total();
  rows.counts[t] = static_cast<int32_t>(count);
}

void quantize_int4_groups(const Int4Rows& rows, int64_t t, int64_t first_group, int64_t last_group, const float* x, int64_t C, int64_t group, int64_t bytes) {
  const int64_t first = bytes * t, last = first + bytes - 1;
  const float levels = kInt4Levels[bytes - 1];
  for (int64_t g = first_group; g < last_group; g++) {
    const int64_t c = (g - first_group) * group;
    const float scale = c < C ? scale_of(x + c, group, levels) : 0.0f;
    float of_byte = scale;
    for (int64_t row = last; row >= first; row--) {
      rows.scales[row * rows.groups + g] = of_byte;
      if (rows.columns) rows.columns[g * rows.column_stride + row] = of_byte;
      rows.sums[row * rows.groups + g] = 0;
      of_byte *= 256.0f;
    }
    if (!(scale > 0)) {
      for (int64_t row = first; row <= last; row++) zero(rows.codes + row * rows.stride + g * group, group);
      continue;
    }
    int8_t* codes = rows.codes + first * rows.stride + g * group;
    int32_t* sums = rows.sums + first * rows.groups + g;
    if (bytes == 1) {
      CodeSum sum;
      for (int64_t i = 0; i < group; i += kChunk) codes_of_chunk(codes + i, x + c + i, scale, sum);
      *sums = sum.total();
    } else if (bytes == 2) {
      long_codes<2>(codes, rows.stride, sums, rows.groups, x + c, group, scale);
    } else {
      long_codes<3>(codes, rows.stride, sums, rows.groups, x + c, group, scale);
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
