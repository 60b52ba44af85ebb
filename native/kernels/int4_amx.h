// Rows of int8 codes times panels of int4 weights with tiles (amx.h). Two panels of a depth block are unpacked to a byte each and stay in L1
// while all rows of a chunk run past them; the sums of a group go through memory, where they meet their scales.
#pragma once

#include "amx.h"
#include "int4_product.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kAmxDepth = 512;  // inputs of a depth block: two panels are 16 KiB unpacked
constexpr int64_t kRowsAtOnce = 2 * kAmxRows;

// to[16 lines][16][4] = the weights of a block, a byte each, minus their zero points: `low` of its first 32 inputs, `high` of the others.
NVILA_INLINE void unpack_block(uint8_t* to, const uint8_t* w, __m512i low, __m512i high) {
  const __m512i nibble = _mm512_set1_epi8(15);
#pragma GCC unroll 8
  for (int j = 0; j < 8; j++) {
    const __m512i raw = _mm512_loadu_si512(w + j * kLineBytes);
    _mm512_store_si512(to + j * kLineBytes, _mm512_sub_epi8(_mm512_and_si512(raw, nibble), low));
    _mm512_store_si512(to + (j + 8) * kLineBytes, _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(raw, 4), nibble), high));
  }
}

// The zero points of group g, each in the four bytes of its output's lane.
NVILA_INLINE __m512i zeros_of(const Int4Groups& weights, int64_t g) {
  if (!weights.zeros) return _mm512_set1_epi8(8);
  const __m512i zeros = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights.zeros + g * kPanel)));
  return _mm512_mullo_epi32(zeros, _mm512_set1_epi32(0x01010101));
}

// to = the weights of `groups` groups.
template <int group>
NVILA_INLINE void unpack(uint8_t* to, const Int4Groups& weights, int64_t groups) {
  for (int64_t b = 0; b < groups * group / kBlock; b++) {
    const __m512i low = zeros_of(weights, b * kBlock / group), high = group < kBlock ? zeros_of(weights, b * kBlock / group + 1) : low;
    unpack_block(to + 2 * b * kBlockBytes, weights.codes + b * kBlockBytes, low, high);
  }
}

// acc[count][16] (+)= Σ sums[count][16] · scale of weights · scale of codes over `groups` groups from g on, in their order; the sums of a group
// lie `stride` numbers behind those of the one before.
template <int groups, bool adds>
NVILA_INLINE void add_scaled(float* acc, const int32_t* sums, int64_t stride, const F32 (&scales)[2], const Int4Codes& x, int64_t g, int64_t count) {
#pragma GCC unroll 4
  for (int64_t r = 0; r < count; r++) {
    F32 total = adds ? load(acc + r * kPanel) : zero();
#pragma GCC unroll 2
    for (int i = 0; i < groups; i++) {
      const F32 sum = {_mm512_cvtepi32_ps(_mm512_load_si512(sums + i * stride + r * kPanel))};
      total = fma(sum, scales[i] * splat(x.scales[r * x.groups + g + i]), total);
    }
    store(acc + r * kPanel, total);
  }
}

// Working memory of a task.
struct Int4AmxMemory {
  uint8_t* unpacked;  // [2][kAmxDepth · 16]
  int32_t* sums;      // [2 groups][2 panels][kRowsAtOnce][16]
  float* acc;         // [2][rows][16]

  static size_t bytes(int64_t rows) { return static_cast<size_t>(2 * kAmxDepth * kPanel + 8 * kPanel * (2 * kRowsAtOnce + rows)); }
  explicit Int4AmxMemory(void* memory)
      : unpacked(static_cast<uint8_t*>(memory)),
        sums(reinterpret_cast<int32_t*>(unpacked + 2 * kAmxDepth * kPanel)),
        acc(reinterpret_cast<float*>(sums + 4 * kRowsAtOnce * kPanel)) {}
};

// Panels p … p + panels − 1 times rows [row, row + count).
template <int group, int panels>
void int4_amx_panels(const Int4Product& product, int64_t p, int64_t row, int64_t count, const Int4AmxMemory& memory) {
  constexpr int64_t kInputs = group < kTileInputs ? group : kTileInputs;  // of a tile
  constexpr int64_t kSumsStride = kRowsAtOnce * kPanel;
  const int64_t acc_stride = count * kPanel, unpacked_stride = kAmxDepth * kPanel, stride = product.rows.stride;
  const int64_t all = product.sizes.groups;
  // The next panels are fetched while these are at work, a share for every group.
  const uint8_t* next = product.packed + product.sizes.first_panel + (p + panels) * product.sizes.panel_bytes;
  const int64_t share = ceil_div(panels * product.sizes.panel_bytes, all);
  for (int64_t first = 0; first < all; first += kAmxDepth / group) {
    const int64_t groups = smaller(kAmxDepth / group, all - first);
    Int4Groups weights[2];
    for (int i = 0; i < panels; i++) {
      weights[i] = product.groups(p + i, first);
      unpack<group>(memory.unpacked + i * unpacked_stride, weights[i], groups);
    }
    for (int64_t t = 0; t < count; t += kRowsAtOnce) {
      const Int4Codes x = product.codes(row + t, first);
      const int64_t rows = smaller(kRowsAtOnce, count - t);
      const auto run = [&](auto tiles) {
        constexpr int n = decltype(tiles)::count;
        const auto multiply = [&](int64_t g, int32_t* sums) {
          if (t == 0) {
            for (int64_t line = 0; line < share; line += 64) __builtin_prefetch(next + (first + g) * share + line, 0, 2);
          }
          zero_sums<n, panels>();
          for (int64_t k = g * group; k < (g + 1) * group; k += kInputs) {
            const uint8_t* w = memory.unpacked + k * kPanel;
            add_tiles<n, panels, true>(x.codes + k, stride, w, w + unpacked_stride);
          }
          store_tiles<n, panels>(sums, kSumsStride);
        };
        if (first + groups == all) product.fetch_out<panels>(p, row + t, rows);
        // Two groups at a time: acc is read and written half as often.
        for (int64_t g = 0; g < groups; g += 2) {
          const bool is_pair = g + 1 < groups;
          multiply(g, memory.sums);
          if (is_pair) multiply(g + 1, memory.sums + 2 * kSumsStride);
          for (int i = 0; i < panels; i++) {
            float* acc = memory.acc + i * acc_stride + t * kPanel;
            const int32_t* sums = memory.sums + i * kSumsStride;
            const F32 scales[2] = {load_scales(weights[i], g, 0), load_scales(weights[i], is_pair ? g + 1 : g, 0)};
            const auto add = [&](auto pair) {
              constexpr int some = decltype(pair)::count;
              if (first + g == 0) add_scaled<some, false>(acc, sums, 2 * kSumsStride, scales, x, g, rows);
              else add_scaled<some, true>(acc, sums, 2 * kSumsStride, scales, x, g, rows);
            };
            if (is_pair) add(Rows<2>());
            else add(Rows<1>());
          }
        }
      };
      if (rows > kAmxRows) run(Rows<2>());
      else run(Rows<1>());
    }
  }
  product.finish<panels>(memory.acc, acc_stride, p, row, count);
}

// Panels [first, last) times rows [row, row + count), at most 32. Weights are read once, as one stream: a group is unpacked right in front of
// its products, which leave the memory time to bring the next.
template <int group, int tiles>
void int4_amx_few(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* scratch) {
  constexpr int64_t kInputs = group < kTileInputs ? group : kTileInputs;  // of a tile
  constexpr int64_t kUnit = group < kBlock ? kBlock : group;              // inputs unpacked at a time
  const Tiles registers(kInputs, count);
  uint8_t* unpacked = static_cast<uint8_t*>(scratch);  // [2][kUnit · 16]: one is written while tiles are loaded from the other
  int32_t* sums = reinterpret_cast<int32_t*>(unpacked + 2 * kUnit * kPanel);
  float* acc = reinterpret_cast<float*>(sums + kRowsAtOnce * kPanel);
  const int64_t all = product.sizes.groups;
  const Int4Codes x = product.codes(row, 0);
  for (int64_t p = first; p < last; p++) {
    const Int4Groups weights = product.groups(p, 0);
    for (int64_t g = 0; g < all; g += kUnit / group) {
      const Int4Groups here = product.groups(p, g);
      for (int64_t line = 0; line < kUnit / 2 * kPanel; line += 64) __builtin_prefetch(here.codes + kAheadBytes + line, 0, 3);
      uint8_t* to = unpacked + (g * group / kUnit & 1) * kUnit * kPanel;
      unpack<group>(to, here, kUnit / group);
      for (int64_t i = g; i < g + kUnit / group; i++) {
        zero_sums<tiles, 1>();
        for (int64_t k = 0; k < group; k += kInputs) {
          const uint8_t* w = to + ((i - g) * group + k) * kPanel;
          add_tiles<tiles, 1, true>(x.codes + i * group + k, x.stride, w, w);
        }
        store_tiles<tiles, 1>(sums, 0);
        const F32 scales[2] = {load_scales(weights, i, 0), zero()};
        if (i == 0) add_scaled<1, false>(acc, sums, 0, scales, x, i, count);
        else add_scaled<1, true>(acc, sums, 0, scales, x, i, count);
      }
    }
    product.finish<1>(acc, 0, p, row, count);
  }
}

// Panels [first, last) times rows [row, row + count).
template <int group>
void int4_amx(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* scratch) {
  const Tiles tiles(group < kTileInputs ? group : kTileInputs);
  const Int4AmxMemory memory(scratch);
  int64_t p = first;
  for (; p + 2 <= last; p += 2) int4_amx_panels<group, 2>(product, p, row, count, memory);
  if (p < last) int4_amx_panels<group, 1>(product, p, row, count, memory);
}

}  // namespace NVILA_ISA
}  // namespace nvila
