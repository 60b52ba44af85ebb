// Many rows of int8 codes times panels of int4 weights with tiles, as int4_amx.h does, for weights of which two panels of all inputs fit L2 beside
// the codes. Two panels are unpacked at once; of a block of rows the f32 sums stay in L1 over all groups; and the sums of a group meet their
// scales while tiles are at work on the next one, a part behind each product.
#pragma once

#include "int4_amx.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kWideInputs = 4096;                       // most inputs: two panels are 128 KiB unpacked
constexpr int64_t kRowsOfBlock = 3 * kRowsAtOnce;           // a multiple of 2 and 3 bytes of a code
constexpr int64_t kLeastWideRows = 2 * kRowsOfBlock;        // fewer do not make up for unpacking all inputs at once
constexpr int64_t kSumsOfUnit = 2 * kRowsAtOnce * kPanel;   // of 32 rows and two panels

// Working memory of a task.
struct Int4WideMemory {
  int32_t* sums;      // [2][kSumsOfUnit]: one is written while the other meets its scales
  float* acc;         // [2 panels][kRowsOfBlock][16]
  float* scales;      // of the codes, [groups][rows], a multiple of 32 rows
  uint8_t* unpacked;  // [2 panels][groups · group · 16]

  static size_t bytes(int64_t rows, int64_t groups, int64_t inputs) {
    const int64_t numbers = 2 * kSumsOfUnit + 2 * kRowsOfBlock * kPanel + up_to_multiple(rows, kRowsAtOnce) * groups;
    return static_cast<size_t>(numbers) * sizeof(float) + static_cast<size_t>(2 * inputs * kPanel);
  }
  Int4WideMemory(void* memory, int64_t rows, int64_t groups)
      : sums(static_cast<int32_t*>(memory)),
        acc(reinterpret_cast<float*>(sums + 2 * kSumsOfUnit)),
        scales(acc + 2 * kRowsOfBlock * kPanel),
        unpacked(reinterpret_cast<uint8_t*>(scales + up_to_multiple(rows, kRowsAtOnce) * groups)) {}
};

// The sums of a group, of 32 rows and two panels, on their way to acc.
struct Int4Sums {
  const int32_t* sums;          // [2 panels][32][16]
  float* acc;                   // [2 panels][kRowsOfBlock][16]
  F32 scales[2];                // of the weights
  const float* scales_of_rows;  // [32]
};

// acc += sums · scale of weights · scale of codes, for a part of `parts` equal ones of what waits: add_scaled with all sizes known, 4 % faster so.
template <int parts>
NVILA_INLINE void meet_scales(const Int4Sums& all, int part) {
  constexpr int kRows = 2 * kRowsAtOnce / parts;
  const int64_t panel = part * kRows / kRowsAtOnce, row = part * kRows % kRowsAtOnce;
  float* acc = all.acc + (panel * kRowsOfBlock + row) * kPanel;
  const int32_t* sums = all.sums + (panel * kRowsAtOnce + row) * kPanel;
#pragma GCC unroll 16
  for (int64_t r = 0; r < kRows; r++) {
    const F32 sum = {_mm512_cvtepi32_ps(_mm512_load_si512(sums + r * kPanel))};
    store(acc + r * kPanel, fma(sum, all.scales[panel] * splat(all.scales_of_rows[row + r]), load(acc + r * kPanel)));
  }
}

// sums[2 panels][32][16] = a group of two panels, `weights` and `weights + next`, times 32 rows of codes; meanwhile what waits meets its scales.
template <int group, bool waits>
NVILA_INLINE void multiply_group(int32_t* sums, const int8_t* codes, int64_t stride, const uint8_t* weights, int64_t next, const Int4Sums& before) {
  constexpr int64_t kInputs = group < kTileInputs ? group : kTileInputs;  // of a tile
  constexpr int kSteps = group / kInputs;
  zero_sums<2, 2>();
#pragma GCC unroll 2
  for (int k = 0; k < kSteps; k++) {
    const uint8_t* w = weights + k * kInputs * kPanel;
    add_tiles<2, 2, true>(codes + k * kInputs, stride, w, w + next, [&](int i) {
      if (waits) meet_scales<4 * kSteps>(before, 4 * k + i);
    });
  }
  store_tiles<2, 2>(sums, kRowsAtOnce * kPanel);
}

// acc = rows [row, row + count) of codes, a multiple of 32, times panels p and p + 1, which are unpacked. `fetch(g)` is called for each group.
template <int group, typename Fetch>
NVILA_INLINE void int4_wide_block(const Int4Product& product, int64_t p, int64_t row, int64_t count, const float* scales_of_rows, int64_t stride,
                                  const Int4WideMemory& memory, Fetch&& fetch) {
  const Int4Codes x = product.codes(row, 0);
  const Int4Groups weights[2] = {product.groups(p, 0), product.groups(p + 1, 0)};
  const int64_t groups = product.sizes.groups;
  std::memset(memory.acc, 0, static_cast<size_t>((kRowsOfBlock + count) * kPanel) * sizeof(float));
  Int4Sums before = {};
  int32_t* sums = memory.sums;
  for (int64_t g = 0; g < groups; g++) {
    fetch(g);
    const F32 scales[2] = {load_scales(weights[0], g, 0), load_scales(weights[1], g, 0)};
    const uint8_t* w = memory.unpacked + g * group * kPanel;
    for (int64_t t = 0; t < count; t += kRowsAtOnce) {
      const int8_t* codes = x.codes + t * x.stride + g * group;
      if (before.sums) multiply_group<group, true>(sums, codes, x.stride, w, groups * group * kPanel, before);
      else multiply_group<group, false>(sums, codes, x.stride, w, groups * group * kPanel, before);
      before = {sums, memory.acc + t * kPanel, {scales[0], scales[1]}, scales_of_rows + g * stride + t};
      sums = sums == memory.sums ? memory.sums + kSumsOfUnit : memory.sums;
    }
  }
  for (int panel = 0; panel < 2; panel++) meet_scales<2>(before, panel);
}

// Whether such a product is one for int4_wide.
NVILA_INLINE bool is_wide(const Int4Product& product, int64_t count) {
  return count >= kLeastWideRows && product.sizes.groups * product.header.group <= kWideInputs;
}

// Panels [first, last), an even number of them, times rows [row, row + count). Rows that fill up the last tiles (kReadRows) have scales of 0.
template <int group>
void int4_wide(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* scratch) {
  const Tiles tiles(group < kTileInputs ? group : kTileInputs);
  const int64_t groups = product.sizes.groups, filled = up_to_multiple(count, kRowsAtOnce);
  const Int4WideMemory memory(scratch, count, groups);
  for (int64_t t = 0; t < filled; t++) {
    const float* scales = product.codes(row + t, 0).scales;
    for (int64_t g = 0; g < groups; g++) memory.scales[g * filled + t] = t < count ? scales[g] : 0.0f;
  }
  const int64_t share = ceil_div(2 * product.sizes.panel_bytes, groups);
  for (int64_t p = first; p < last; p += 2) {
    for (int i = 0; i < 2; i++) unpack<group>(memory.unpacked + i * groups * group * kPanel, product.groups(p + i, 0), groups);
    const uint8_t* next = product.packed + product.sizes.first_panel + (p + 2) * product.sizes.panel_bytes;
    for (int64_t t = 0; t < count; t += kRowsOfBlock) {
      const int64_t rows = smaller(kRowsOfBlock, count - t);
      product.fetch_out<2>(p, row + t, rows);
      int4_wide_block<group>(product, p, row + t, up_to_multiple(rows, kRowsAtOnce), memory.scales + t, filled, memory, [&](int64_t g) {
        // The next panels are fetched while the first rows meet these.
        for (int64_t line = 0; t == 0 && line < share; line += 64) __builtin_prefetch(next + g * share + line, 0, 2);
      });
      product.finish<2>(memory.acc, kRowsOfBlock * kPanel, p, row + t, rows);
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
