// bf16 panels and their tile for multiply.h, with tiles of AMX (amx.h): operands are rounded to bf16 while they are packed, sums are f32. One
// TDPBF16PS adds the products of 16 rows of 32 numbers and 16 columns of as many; four of them share two tiles of x and two of w.
//   panel of x: [depth / 32][row 0 … 31][32]     panel of w: [depth / 32][two tiles of 16 columns][16 pairs of depth][16 columns][2]
// Numbers below the normal range count as 0 there (TDPBF16PS).
#pragma once

#include "amx.h"
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

using Packed = Bf16;
constexpr int64_t kStep = 32;  // depth of a panel is a multiple of it
constexpr int kTileM = 2 * kPanel;
constexpr int kTileT = 2 * kAmxRows;
constexpr int64_t kDepth = 512;     // of a block: a w panel of 32 KiB stays in L1
constexpr int64_t kColumns = 256;   // w rows of one task: 256 KiB packed
constexpr int64_t kNearPanels = 8;  // of x, that run past one panel of w before the next comes: 256 KiB, in L2
constexpr int64_t kPackedBytes = int64_t{6} << 20;  // of x packed at a time: what a share of the last cache holds
constexpr int64_t kHalf = kAmxRows * kStep;         // numbers of a tile

// Lives as long as a task.
struct TileState {
  Tiles tiles{kStep * static_cast<int64_t>(sizeof(Bf16))};
};

// 16 rows of 32 numbers, or 16 pairs of 16 columns: what one tile holds.
using Block = F32[16];

// The first `count` (≤ 0: none, ≥ 16: all) of 16 numbers, the others 0.
template <typename W>
NVILA_INLINE F32 load_some(const W* x, int64_t count) {
  if (count >= F32::width) return load_weight(x);
  float some[F32::width] = {};
  for (int64_t i = 0; i < count; i++) some[i] = widen(x + i);
  return load(some);
}

// block[r] = x[r][0 … 32) as bf16; rows from `rows` on and numbers from `depth` on are 0.
template <typename W>
void round_rows(Block& block, const W* x, int64_t stride, int64_t depth, int64_t rows) {
  for (int64_t r = 0; r < 16; r++) {
    const int64_t count = r < rows ? depth : 0;
    const F32 low = load_some(x + r * stride, count), high = load_some(x + r * stride + F32::width, count - F32::width);
    block[r].v = _mm512_castsi512_ps(reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v)));
  }
}

// block[pair][column] = {x[2 · pair][column], x[2 · pair + 1][column]} as bf16; rows from `depth` on and columns from `columns` on are 0.
template <typename W>
void round_pairs(Block& block, const W* x, int64_t stride, int64_t depth, int64_t columns) {
  const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                              18, 2, 17, 1, 16, 0);
  const auto row = [&](int64_t k) { return load_some(x + k * stride, k < depth ? columns : 0); };
  for (int64_t pair = 0; pair < 16; pair++) {
    const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(row(2 * pair + 1).v, row(2 * pair).v));
    block[pair].v = _mm512_castsi512_ps(_mm512_permutexvar_epi16(interleave, both));
  }
}

inline void store_block(Bf16* tile, const Block& block) {
  for (int r = 0; r < 16; r++) _mm512_storeu_ps(tile + r * kStep, block[r].v);
}

// The two halves of a panel, step by step: fill(block, half, k) gives 16 rows or columns from 16 · half on, depth from k on.
template <typename Fill>
NVILA_INLINE void pack_panel(Bf16* panel, int64_t depth, Fill&& fill) {
  for (int64_t k = 0; k < depth; k += kStep) {
    for (int64_t half = 0; half < 2; half++, panel += kHalf) {
      Block block;
      fill(block, half * 16, k);
      store_block(panel, block);
    }
  }
}

// Panel of x[rows][depth].
inline void x_from_rows(Bf16* panel, const float* x, int64_t stride, int64_t depth, int64_t rows) {
  pack_panel(panel, depth, [&](Block& block, int64_t row, int64_t k) { round_rows(block, x + row * stride + k, stride, depth - k, rows - row); });
}

// Panel of x[depth][rows].
inline void x_from_columns(Bf16* panel, const float* x, int64_t stride, int64_t depth, int64_t rows) {
  pack_panel(panel, depth, [&](Block& block, int64_t row, int64_t k) {
    round_pairs(block, x + k * stride + row, stride, depth - k, rows - row);
    transpose(block);
  });
}

// Panel of w[columns][depth].
template <typename W>
void w_from_rows(Bf16* panel, const W* w, int64_t stride, int64_t depth, int64_t columns) {
  pack_panel(panel, depth, [&](Block& block, int64_t column, int64_t k) {
    round_rows(block, w + column * stride + k, stride, depth - k, columns - column);
    transpose(block);
  });
}

// Panel of w[depth][columns].
template <typename W>
void w_from_columns(Bf16* panel, const W* w, int64_t stride, int64_t depth, int64_t columns) {
  pack_panel(panel, depth,
             [&](Block& block, int64_t column, int64_t k) { round_pairs(block, w + k * stride + column, stride, depth - k, columns - column); });
}

// out[32][32] = x panel[depth]ᵀ · w panel[depth] + base, strides of out and base in numbers.
NVILA_INLINE void whole_tile(float* out, int64_t out_stride, const float* base, int64_t base_stride, const Bf16* x, const Bf16* w, int64_t depth) {
  const size_t from = static_cast<size_t>(base_stride) * sizeof(float), to = static_cast<size_t>(out_stride) * sizeof(float);
  _tile_loadd(0, base, from);
  _tile_loadd(1, base + kAmxRows * base_stride, from);
  _tile_loadd(2, base + kPanel, from);
  _tile_loadd(3, base + kAmxRows * base_stride + kPanel, from);
  for (int64_t k = 0; k < depth; k += kStep, x += 2 * kHalf, w += 2 * kHalf) {
    _tile_loadd(6, w, 64);  // all loads in front, as in amx.h
    _tile_loadd(4, x, 64);
    _tile_loadd(7, w + kHalf, 64);
    _tile_loadd(5, x + kHalf, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(1, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, out, to);
  _tile_stored(1, out + kAmxRows * out_stride, to);
  _tile_stored(2, out + kPanel, to);
  _tile_stored(3, out + kAmxRows * out_stride + kPanel, to);
}

// As in multiply_f32.h; depth is that of the panels.
NVILA_INLINE void tile(float* out, int64_t out_stride, const float* base, int64_t base_stride, const Bf16* x, const Bf16* w, int64_t depth,
                       int64_t rows, int64_t columns, const Bf16*) {
  if (rows == kTileT && columns == kTileM) {
    whole_tile(out, out_stride, base, base_stride, x, w, depth);
    return;
  }
  alignas(64) float sums[kTileT * kTileM];
  for (int64_t t = 0; t < kTileT; t++) {
    for (int64_t m = 0; m < kTileM; m++) sums[t * kTileM + m] = t < rows && m < columns ? base[t * base_stride + m] : 0.0f;
  }
  whole_tile(sums, kTileM, sums, kTileM, x, w, depth);
  for (int64_t t = 0; t < rows; t++) {
    for (int64_t m = 0; m < columns; m++) out[t * out_stride + m] = sums[t * kTileM + m];
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
