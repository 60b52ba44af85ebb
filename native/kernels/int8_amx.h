// Rows of int8 codes times panels of int8 weights with tiles (amx.h): two panels meet 32 rows at a time, so four products share two tiles
// of codes and two of weights. The panels of a depth block stay in L1 while all rows of a chunk run past them.
#pragma once

#include "amx.h"
#include "int8_product.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kTilesOfBlock = 18;     // of weights in depth: two panels are 36 KiB
constexpr int64_t kAheadTileLines = 64;   // of the prefetch of weights that are read once

// The sums of `tiles` tiles of rows and `panels` panels over `count` tiles of weights in depth.
template <int tiles, int panels, bool is_streamed>
NVILA_INLINE void int8_amx_block(const int8_t* codes, int64_t stride, const uint8_t* weights0, const uint8_t* weights1, int64_t count) {
  for (int64_t k = 0; k < count; k++) {
    if (is_streamed) {
#pragma GCC unroll 16
      for (int64_t line = 0; line < kTileLines; line++) {
        __builtin_prefetch(weights0 + (kAheadTileLines + line) * 64, 0, 3);
        if (panels > 1) __builtin_prefetch(weights1 + (kAheadTileLines + line) * 64, 0, 3);
      }
    }
    add_tiles<tiles, panels, false>(codes, stride, weights0, weights1);
    codes += kTileInputs;
    weights0 += kTileBytes;
    weights1 += kTileBytes;
  }
}

// Panels p … p + panels − 1 times rows [row, row + count). sums: [panels][⌈count / 16⌉ · 16][16] of working memory; last: a tile of weights
// for each panel, filled up with zeros, where the inputs are no multiple of 64.
template <int panels, bool is_streamed>
void int8_amx_panels(const Int8Product& product, int64_t p, int64_t row, int64_t count, int32_t* sums, uint8_t* last) {
  const int64_t whole = product.sizes.inputs / kTileInputs, rest = product.sizes.inputs % kTileInputs;
  const int64_t stride = product.rows.stride, panel_stride = up_to_multiple(count, kAmxRows) * kPanel;
  const uint8_t* weights[2] = {product.panel(p), product.panel(p + panels - 1)};
  for (int i = 0; rest > 0 && i < panels; i++) {
    std::memcpy(last + i * kTileBytes, weights[i] + whole * kTileBytes, static_cast<size_t>(rest * kPanel));
    std::memset(last + i * kTileBytes + rest * kPanel, 0, static_cast<size_t>((kTileInputs - rest) * kPanel));
  }
  const int64_t blocks = larger(1, ceil_div(whole, kTilesOfBlock));
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t k = b * whole / blocks, end = (b + 1) * whole / blocks;
    const bool is_last = b + 1 == blocks;
    for (int64_t t = 0; t < count; t += 2 * kAmxRows) {
      int32_t* at = sums + t * kPanel;
      const int8_t* codes = product.rows.codes + (row + t) * stride;
      const auto run = [&](auto tiles) {
        constexpr int n = decltype(tiles)::count;
        if (b == 0) zero_sums<n, panels>();
        else load_sums<n, panels>(at, panel_stride);
        int8_amx_block<n, panels, is_streamed>(codes + k * kTileInputs, stride, weights[0] + k * kTileBytes, weights[1] + k * kTileBytes, end - k);
        if (is_last && rest > 0) add_tiles<n, panels, false>(codes + whole * kTileInputs, stride, last, last + kTileBytes);
        store_tiles<n, panels>(at, panel_stride);
      };
      if (count - t > kAmxRows) run(Rows<2>());
      else run(Rows<1>());
      if (is_last) product.finish<panels>(at, panel_stride, p, row + t, smaller(2 * kAmxRows, count - t));
    }
  }
}

// Bytes of working memory for chunks of `rows` rows.
NVILA_INLINE size_t int8_amx_bytes(int64_t rows) {
  return static_cast<size_t>(2 * up_to_multiple(rows, kAmxRows) * kPanel) * sizeof(int32_t) + static_cast<size_t>(2 * kTileBytes);
}

// Panels [first, last) times rows [row, row + count).
inline void int8_amx(const Int8Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* memory) {
  const Tiles tiles(kTileInputs);
  uint8_t* filled = static_cast<uint8_t*>(memory);
  int32_t* sums = reinterpret_cast<int32_t*>(filled + 2 * kTileBytes);
  int64_t p = first;
  for (; p + 2 <= last; p += 2) {
    if (count <= 2 * kAmxRows) int8_amx_panels<2, true>(product, p, row, count, sums, filled);
    else int8_amx_panels<2, false>(product, p, row, count, sums, filled);
  }
  if (p < last) int8_amx_panels<1, false>(product, p, row, count, sums, filled);
}

}  // namespace NVILA_ISA
}  // namespace nvila
