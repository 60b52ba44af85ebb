// Rows of int8 codes times panels of int4 weights with tiles (amx.h). Two panels of a depth block are unpacked to a byte each and stay in L1
// while all rows of a chunk run past them; the sums of a group go through memory, where they meet their scales.
#pragma once

#include "amx.h"
#include "int4_product.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kAmxDepth = 1024;  // inputs of a depth block: two panels are 32 KiB unpacked
constexpr int64_t kRowsAtOnce = 2 * kTileRows;

// to[16 lines][16][4] = the weights of a block, a byte each, minus `base`.
NVILA_INLINE void unpack_block(uint8_t* to, const uint8_t* w, __m512i base) {
  const __m512i nibble = _mm512_set1_epi8(15);
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
    const __m512i raw = _mm512_loadu_si512(w + j * kLineBytes);
    const __m512i low = _mm512_and_si512(raw, nibble), high = _mm512_and_si512(_mm512_srli_epi16(raw, 4), nibble);
    _mm512_store_si512(to + j * kLineBytes, _mm512_sub_epi8(low, base));
    _mm512_store_si512(to + (j + 8) * kLineBytes, _mm512_sub_epi8(high, base));
  }
}

// acc[count][16] += (sums[count][16] − z · sum of codes) · scale of weights · scale of codes, for a group. has_zeros: z counts, else it was
// taken off the weights.
template <bool has_zeros>
NVILA_INLINE void add_scaled(float* acc, const int32_t* sums, const Int4Groups& weights, int64_t g, const Int4Codes& x, int64_t count) {
  const F32 scales = load_scales(weights, g, 0);
  const __m512i zeros = has_zeros ? _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights.zeros + g * kPanel)))
                                  : _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int64_t r = 0; r < count; r++) {
    __m512i sum = _mm512_load_si512(sums + r * kPanel);
    if (has_zeros) sum = _mm512_sub_epi32(sum, _mm512_madd_epi16(zeros, _mm512_set1_epi32(x.sums[r * x.groups + g])));
    store(acc + r * kPanel, fma({_mm512_cvtepi32_ps(sum)}, scales * splat(x.scales[r * x.groups + g]), load(acc + r * kPanel)));
  }
}

// Working memory of a task.
struct Int4AmxMemory {
  uint8_t* unpacked;  // [2][kAmxDepth · 16]
  int32_t* sums;      // [2][kRowsAtOnce][16]
  float* acc;         // [2][rows][16]

  static size_t bytes(int64_t rows) { return static_cast<size_t>(2 * kAmxDepth * kPanel + 8 * kPanel * (kRowsAtOnce + rows)); }
  explicit Int4AmxMemory(void* memory)
      : unpacked(static_cast<uint8_t*>(memory)),
        sums(reinterpret_cast<int32_t*>(unpacked + 2 * kAmxDepth * kPanel)),
        acc(reinterpret_cast<float*>(sums + 2 * kRowsAtOnce * kPanel)) {}
};

// Panels p … p + panels − 1 times rows [row, row + count).
template <int group, int panels, bool has_zeros>
void int4_amx_panels(const Int4Product& product, int64_t p, int64_t row, int64_t count, const Int4AmxMemory& memory) {
  constexpr int64_t kInputs = group < kTileInputs ? group : kTileInputs;  // of a tile
  constexpr int64_t kGroupBytes = group * kPanel / 2;
  constexpr int64_t kSumsStride = kRowsAtOnce * kPanel;
  const int64_t acc_stride = count * kPanel, unpacked_stride = kAmxDepth * kPanel, stride = product.rows.stride;
  std::memset(memory.acc, 0, static_cast<size_t>(panels * acc_stride) * sizeof(float));
  const __m512i base = _mm512_set1_epi8(has_zeros ? 0 : 8);
  const int64_t all = product.sizes.groups;
  for (int64_t first = 0; first < all; first += kAmxDepth / group) {
    const int64_t groups = smaller(kAmxDepth / group, all - first);
    Int4Groups weights[2];
    const uint8_t* next[2];  // what will be unpacked after these
    for (int i = 0; i < panels; i++) {
      weights[i] = product.groups(p + i, first);
      for (int64_t b = 0; b < groups * group / kBlock; b++) {
        unpack_block(memory.unpacked + i * unpacked_stride + 2 * b * kBlockBytes, weights[i].codes + b * kBlockBytes, base);
      }
      next[i] = first + groups < all ? weights[i].codes + groups * kGroupBytes : product.groups(p + panels + i, 0).codes;
    }
    for (int64_t t = 0; t < count; t += kRowsAtOnce) {
      const Int4Codes x = product.codes(row + t, first);
      const int64_t rows = smaller(kRowsAtOnce, count - t);
      const auto run = [&](auto tiles) {
        constexpr int n = decltype(tiles)::count;
        for (int64_t g = 0; g < groups; g++) {
          if (t == 0) {
            for (int i = 0; i < panels; i++) {
#pragma GCC unroll 16
              for (int64_t line = 0; line < kGroupBytes; line += 64) __builtin_prefetch(next[i] + g * kGroupBytes + line, 0, 3);
            }
          }
          zero_sums<n, panels>();
          for (int64_t k = g * group; k < (g + 1) * group; k += kInputs) {
            const uint8_t* w = memory.unpacked + k * kPanel;
            add_tiles<n, panels, !has_zeros>(x.codes + k, stride, w, w + unpacked_stride);
          }
          store_tiles<n, panels>(memory.sums, kSumsStride);
          for (int i = 0; i < panels; i++) {
            add_scaled<has_zeros>(memory.acc + i * acc_stride + t * kPanel, memory.sums + i * kSumsStride, weights[i], g, x, rows);
          }
        }
      };
      if (rows > kTileRows) run(Rows<2>());
      else run(Rows<1>());
    }
  }
  for (int i = 0; i < panels; i++) product.finish(memory.acc + i * acc_stride, p + i, row, count);
}

// Panels [first, last) times rows [row, row + count).
template <int group>
void int4_amx(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* scratch) {
  const Tiles tiles(group < kTileInputs ? group : kTileInputs);
  const Int4AmxMemory memory(scratch);
  const auto run = [&](int64_t p, auto panels) {
    constexpr int n = decltype(panels)::count;
    if (product.header.has_zeros) int4_amx_panels<group, n, true>(product, p, row, count, memory);
    else int4_amx_panels<group, n, false>(product, p, row, count, memory);
  };
  int64_t p = first;
  for (; p + 2 <= last; p += 2) run(p, Rows<2>());
  if (p < last) run(p, Rows<1>());
}

}  // namespace NVILA_ISA
}  // namespace nvila
