// f32 panels and their tile for multiply.h: kTileT × kTileM sums stay in vector registers.
//   panel of x: [depth][kTileT]     panel of w: [depth][kTileM]
//
// Versions of multiply.h with these, on Zen 3 (AVX2, 2 threads), f32; time against version 1, median of pairs run in turns on a busy machine:
//                                                         1024×1152×2304   1024×4304×1152   192×1536×4480
//   1  all of x packed at once, up to 16 MiB, then in parts of rows  1             1                1
//   2  groups of columns and parts of rows of equal size             0.99          0.95             1.00
//   3  2, tiles of out fetched when their sums begin                 0.96          0.95
//   4  3, panels of x for the next chunk of rows fetched to L2       0.91          0.92             1.04
//   5  4, x packed in parts along C that stay in the last cache      0.89          0.86             1.04    ← this
// No gain within ±2 %: depth 256, 320, 512; 96 or 128 columns; chunks of 48 or 144 rows; fetching to L1; fetching the next w.
// Worse: depth unrolled by 8 (3 %); 5 without the fetches of out (12 %). The tile itself, everything in L1 and L2, reaches 98 % of peak.
#pragma once

#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

using Packed = float;
constexpr int64_t kStep = 1;  // depth of a panel is a multiple of it
struct TileState {};          // lives as long as a task
constexpr int kVectors = F32::width == 1 ? 4 : 2;  // vectors of a tile row
constexpr int kTileM = kVectors * F32::width;
constexpr int kTileT = F32::width == 1 ? 4 : F32::width == 8 ? 6 : 14;
constexpr int64_t kDepth = F32::width == 16 ? 256 : 384;  // of a block: a w panel of 24 or 32 KiB stays in L1
constexpr int64_t kColumns = 64;     // w rows of one task: 96 KiB packed
constexpr int64_t kNearPanels = 16;  // of x, that run past one panel of w before the next comes: about 144 KiB, in L2
constexpr int64_t kFetchSteps = 8;     // between two lines fetched ahead: they read three lines of x
constexpr int64_t kPackedBytes = int64_t{6} << 20;  // of x packed at a time: what a share of the last cache holds

// tile[kTileT][kTileM] = x panel[depth][kTileT]ᵀ · w panel[depth][kTileM] + base, base[t · base_stride + m].
// Writes `rows` × `columns` of it to out. Fetches every third line of a panel of x, beginning at `ahead`.
NVILA_INLINE void tile(float* out, int64_t out_stride, const float* base, int64_t base_stride, const float* x, const float* w,
                       int64_t depth, int64_t rows, int64_t columns, const float* ahead) {
  F32 acc[kTileT][kVectors];
#pragma GCC unroll 14
  for (int t = 0; t < kTileT; t++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) acc[t][v] = zero();
  }
  if (F32::width > 1) {
    for (int64_t t = 0; t < rows; t++) {
      __builtin_prefetch(out + t * out_stride, 1, 3);
      __builtin_prefetch(out + t * out_stride + columns - 1, 1, 3);
    }
  }
  for (int64_t block = 0; block < depth; block += kFetchSteps) {
    if (F32::width > 1) __builtin_prefetch(ahead + block * kTileT, 0, 2);
    const int64_t end = smaller(depth, block + kFetchSteps);
#pragma GCC unroll 2
    for (int64_t k = block; k < end; k++) {
      F32 row[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) row[v] = load(w + k * kTileM + v * F32::width);
#pragma GCC unroll 14
      for (int t = 0; t < kTileT; t++) {
        const F32 value = splat(x[k * kTileT + t]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) acc[t][v] = fma(value, row[v], acc[t][v]);
      }
    }
  }
  if (rows == kTileT && columns == kTileM) {
#pragma GCC unroll 14
    for (int t = 0; t < kTileT; t++) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) {
        store(out + t * out_stride + v * F32::width, load(base + t * base_stride + v * F32::width) + acc[t][v]);
      }
    }
    return;
  }
  float sums[kTileT * kTileM];
  for (int t = 0; t < kTileT; t++) {
    for (int v = 0; v < kVectors; v++) store(sums + t * kTileM + v * F32::width, acc[t][v]);
  }
  for (int64_t t = 0; t < rows; t++) {
    for (int64_t m = 0; m < columns; m++) out[t * out_stride + m] = base[t * base_stride + m] + sums[t * kTileM + m];
  }
}
// panel[depth][kTileT] from rows x[rows][depth] with stride; missing rows are 0.
inline void x_from_rows(float* panel, const float* x, int64_t stride, int64_t depth, int64_t rows) {
  int64_t k = 0;
  if (F32::width >= kTileT && rows == kTileT) {
    // A full vector is stored per step; what it writes past the six is overwritten by the next step, so stop before the last.
    for (; k + F32::width < depth; k += F32::width) {
      F32 block[F32::width];
      for (int r = 0; r < F32::width; r++) block[r] = r < kTileT ? load(x + r * stride + k) : zero();
      transpose(block);
      for (int r = 0; r < F32::width; r++) store(panel + (k + r) * kTileT, block[r]);
    }
  }
  for (; k < depth; k++) {
    for (int64_t r = 0; r < kTileT; r++) panel[k * kTileT + r] = r < rows ? x[r * stride + k] : 0.0f;
  }
}

// panel[depth][kTileM] from rows w[columns][depth] with stride; missing columns are 0.
template <typename W>
void w_from_rows(float* panel, const W* w, int64_t stride, int64_t depth, int64_t columns) {
  for (int v = 0; v < kVectors; v++) {
    const int64_t first = v * F32::width;
    const int64_t count = smaller(larger(columns - first, 0), F32::width);
    int64_t k = 0;
    if (count == F32::width) {
      for (; k + F32::width <= depth; k += F32::width) {
        F32 block[F32::width];
        for (int r = 0; r < F32::width; r++) block[r] = load_weight(w + (first + r) * stride + k);
        transpose(block);
        for (int r = 0; r < F32::width; r++) store(panel + (k + r) * kTileM + first, block[r]);
      }
    }
    for (; k < depth; k++) {
      for (int64_t r = 0; r < F32::width; r++) panel[k * kTileM + first + r] = r < count ? widen(w + (first + r) * stride + k) : 0.0f;
    }
  }
}

// panel[depth][kTileM] from w[depth][columns] with stride; missing columns are 0.
template <typename W>
void w_from_columns(float* panel, const W* w, int64_t stride, int64_t depth, int64_t columns) {
  for (int64_t k = 0; k < depth; k++, panel += kTileM, w += stride) {
    if (columns == kTileM) {
      for (int v = 0; v < kVectors; v++) store(panel + v * F32::width, load_weight(w + v * F32::width));
    } else {
      for (int64_t m = 0; m < kTileM; m++) panel[m] = m < columns ? widen(w + m) : 0.0f;
    }
  }
}

// panel[depth][kTileT] from x[depth][rows] with stride; missing rows are 0.
inline void x_from_columns(float* panel, const float* x, int64_t stride, int64_t depth, int64_t rows) {
  for (int64_t k = 0; k < depth; k++, panel += kTileT, x += stride) {
    if (rows == kTileT) {
      std::memcpy(panel, x, kTileT * sizeof(float));
    } else {
      for (int64_t t = 0; t < kTileT; t++) panel[t] = t < rows ? x[t] : 0.0f;
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
