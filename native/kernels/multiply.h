// Products of f32 matrices, out[T, M] = x[T, C] · w[C, M] with any packing of x and w, after BLIS (Van Zee, van de Geijn 2015): a tile of
// kTileT × kTileM sums stays in registers while it runs over one depth block of packed panels.
//   x panels, packed by all threads, some depth blocks at a time: [depth block][T / kTileT][depth][kTileT]
//   w panels, packed by the thread that needs them:  [columns / kTileM][depth][kTileM], widened to f32 on the way
// Each sum runs over C in one fixed order, whatever the blocks and threads are.
//
// Versions, on Zen 3 (AVX2, 2 threads), f32; time against version 1, median of pairs run in turns on a busy machine:
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
// panel[depth][kTileT] from rows x[rows][depth] with stride C; missing rows are 0.
inline void pack_x(float* panel, const float* x, int64_t C, int64_t depth, int64_t rows) {
  int64_t k = 0;
  if (F32::width >= kTileT && rows == kTileT) {
    // A full vector is stored per step; what it writes past the six is overwritten by the next step, so stop before the last.
    for (; k + F32::width < depth; k += F32::width) {
      F32 block[F32::width];
      for (int r = 0; r < F32::width; r++) block[r] = r < kTileT ? load(x + r * C + k) : zero();
      transpose(block);
      for (int r = 0; r < F32::width; r++) store(panel + (k + r) * kTileT, block[r]);
    }
  }
  for (; k < depth; k++) {
    for (int64_t r = 0; r < kTileT; r++) panel[k * kTileT + r] = r < rows ? x[r * C + k] : 0.0f;
  }
}

// A problem cut up. Rows are of x, columns are rows of w.
struct Plan {
  int64_t depth;         // of a block, the last may have less
  int64_t part_depth;    // of x packed at a time, a multiple of depth
  int64_t part_rows;     // of x packed at a time, a multiple of kTileT
  int64_t column_tiles;  // kTileM columns each
  int64_t groups;        // of column tiles; a task takes one
};

inline Plan plan_for(int64_t T, int64_t C, int64_t M, int64_t threads) {
  Plan plan;
  const int64_t blocks = larger(1, ceil_div(C, kDepth));
  plan.depth = larger(1, ceil_div(ceil_div(C, blocks), 8) * 8);
  const int64_t row_parts = ceil_div(T * plan.depth * 4, kPackedBytes);
  plan.part_rows = ceil_div(ceil_div(T, row_parts), kTileT) * kTileT;
  const int64_t all = ceil_div(C, plan.depth), fit = larger(1, kPackedBytes / (plan.part_rows * plan.depth * 4));
  plan.part_depth = larger(1, ceil_div(all, larger(1, ceil_div(all, fit)))) * plan.depth;
  plan.column_tiles = ceil_div(M, kTileM);
  // As many groups for every thread, so that none waits for the last one.
  plan.groups = smaller(plan.column_tiles, ceil_div(ceil_div(M, kColumns), threads) * threads);
  return plan;
}

// Depth block k of w's columns [m, m + columns), all packed rows from `first_panel` on: the innermost three loops.
inline void multiply_block(float* out, const float* base, int64_t base_stride, const float* block_x, const float* packed_w, int64_t depth,
                    int64_t first_panel, int64_t last_panel, int64_t rows, int64_t columns, int64_t M) {
  for (int64_t near = first_panel; near < last_panel; near += kNearPanels) {
    const int64_t near_end = smaller(last_panel, near + kNearPanels);
    for (int64_t j = 0; j < columns; j += kTileM) {
      for (int64_t panel = near; panel < near_end; panel++) {
        const int64_t t = panel * kTileT;
        // While the first three panels of w pass over this panel of x, they fetch the one that comes a chunk later.
        const int64_t later = smaller(panel + kNearPanels, last_panel - 1);
        const float* ahead = block_x + later * depth * kTileT + smaller(j / kTileM, 2) * 16;
        tile(out + t * M + j, M, base + t * base_stride + j, base_stride, block_x + panel * depth * kTileT, packed_w + j * depth, depth,
             smaller(kTileT, rows - t), smaller(kTileM, columns - j), ahead);
      }
    }
  }
}

// What out begins with: the bias (data may be null), or its own values, to which the product is added.
struct Begin {
  Weight bias;
  bool adds;
};

// out[T, M] = x · w + what it begins with, summed over C.
//   pack_x(panel, t, k, depth, rows): panel[depth][kTileT] = x[t … t + rows)[k … k + depth), missing rows are 0
//   pack_w(panel, m, k, depth, columns): panel[depth][kTileM] = w[k … k + depth)[m … m + columns), missing columns are 0
template <typename PackX, typename PackW>
Status multiply(ThreadPool& pool, float* out, int64_t T, int64_t C, int64_t M, Begin begins, PackX&& pack_x, PackW&& pack_w) {
  const int64_t threads = pool.threads();
  const Plan plan = plan_for(T, C, M, threads);
  float* packed_x = static_cast<float*>(
      pool.shared_scratch(static_cast<size_t>(plan.part_rows * plan.part_depth) * sizeof(float), ThreadPool::Shared::kLinear));
  // Packed w and, behind it, the bias of the same columns. Uneven groups may hold one tile more than the average.
  const int64_t most_columns = ceil_div(plan.column_tiles, plan.groups) * kTileM;
  const size_t w_bytes = static_cast<size_t>(most_columns * (plan.depth + 1)) * sizeof(float);
  bool is_enough = packed_x != nullptr;
  for (int thread = 0; is_enough && thread < threads; thread++) is_enough = pool.scratch(thread, w_bytes) != nullptr;
  if (!is_enough) return Status::kOutOfMemory;

  for (int64_t start = 0; start < T; start += plan.part_rows) {
    const int64_t rows = smaller(plan.part_rows, T - start);
    const int64_t panels = ceil_div(rows, kTileT);
    // Too few groups of columns for the threads: rows are cut as well, and their w packed more than once.
    const int64_t wanted = threads == 1 ? 1 : ceil_div(4 * threads, plan.groups);
    const int64_t task_panels = larger(8, ceil_div(panels, wanted));
    const int64_t row_groups = ceil_div(panels, task_panels);
    for (int64_t part = 0; part == 0 || part < C; part += plan.part_depth) {
      const int64_t part_depth = smaller(plan.part_depth, C - part);
      pool.parallel_for(panels * ceil_div(part_depth, plan.depth), 4, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) {
          const int64_t k = i / panels * plan.depth, panel = i % panels;
          const int64_t depth = smaller(plan.depth, part_depth - k), t = panel * kTileT;
          pack_x(packed_x + k * panels * kTileT + panel * depth * kTileT, start + t, part + k, depth, smaller(kTileT, rows - t));
        }
      });
      pool.parallel_for(plan.groups * row_groups, 1, [&](int64_t task, int64_t, int thread) {
        float* packed_w = static_cast<float*>(pool.scratch(thread, 0));
        float* bias_of_task = packed_w + most_columns * plan.depth;
        const int64_t group = task / row_groups;
        const int64_t m = group * plan.column_tiles / plan.groups * kTileM;
        const int64_t columns = smaller(M, (group + 1) * plan.column_tiles / plan.groups * kTileM) - m;
        for (int64_t j = 0; j < columns; j++) bias_of_task[j] = bias_at(begins.bias, m + j);
        const int64_t first_panel = task % row_groups * task_panels;
        const int64_t last_panel = smaller(panels, first_panel + task_panels);
        float* target = out + start * M + m;
        for (int64_t k = 0; k == 0 || k < part_depth; k += plan.depth) {
          const int64_t depth = smaller(plan.depth, part_depth - k);
          for (int64_t j = 0; j < columns; j += kTileM) {
            pack_w(packed_w + j * depth, m + j, part + k, depth, smaller(kTileM, columns - j));
          }
          const bool is_first = part + k == 0 && !begins.adds;
          multiply_block(target, is_first ? bias_of_task : target, is_first ? 0 : M, packed_x + k * panels * kTileT, packed_w, depth, first_panel,
                         last_panel, rows, columns, M);
        }
      });
    }
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
