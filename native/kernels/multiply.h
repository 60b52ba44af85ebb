// Products of f32 matrices, out[T, M] = x[T, C] · w[C, M] with any packing of x and w, after BLIS (Van Zee, van de Geijn 2015): a tile of
// kTileT × kTileM sums stays in registers while it runs over one depth block of packed panels. What a panel holds and how a tile runs is in
// multiply_f32.h or, for a set that rounds, multiply_bf16.h.
//   x panels, packed by all threads, some depth blocks at a time: [depth block][panel of kTileT rows]
//   w panels, packed by the thread that needs them: [panel of kTileM columns], one depth block at a time
// Each sum runs over C in one fixed order, whatever the blocks and threads are.
#pragma once

#include "../packed_layout.h"
#if defined(NVILA_BF16_PRODUCTS)
#include "multiply_bf16.h"
#else
#include "multiply_f32.h"
#endif

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kPackedSize = static_cast<int64_t>(sizeof(Packed));

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
  plan.depth = larger(1, up_to_multiple(ceil_div(C, blocks), larger(8, kStep)));
  const int64_t row_parts = ceil_div(T * plan.depth * kPackedSize, kPackedBytes);
  plan.part_rows = ceil_div(ceil_div(T, row_parts), kTileT) * kTileT;
  const int64_t all = ceil_div(C, plan.depth), fit = larger(1, kPackedBytes / (plan.part_rows * plan.depth * kPackedSize));
  plan.part_depth = larger(1, ceil_div(all, larger(1, ceil_div(all, fit)))) * plan.depth;
  plan.column_tiles = ceil_div(M, kTileM);
  // As many groups for every thread, so that none waits for the last one.
  plan.groups = smaller(plan.column_tiles, ceil_div(ceil_div(M, kColumns), threads) * threads);
  return plan;
}

// Depth block k of w's columns [m, m + columns), all packed rows from `first_panel` on: the innermost three loops.
inline void multiply_block(float* out, const float* base, int64_t base_stride, const Packed* block_x, const Packed* packed_w, int64_t depth,
                    int64_t first_panel, int64_t last_panel, int64_t rows, int64_t columns, int64_t M) {
  for (int64_t near = first_panel; near < last_panel; near += kNearPanels) {
    const int64_t near_end = smaller(last_panel, near + kNearPanels);
    for (int64_t j = 0; j < columns; j += kTileM) {
      for (int64_t panel = near; panel < near_end; panel++) {
        const int64_t t = panel * kTileT;
        // While the first three panels of w pass over this panel of x, they fetch the one that comes a chunk later.
        const int64_t later = smaller(panel + kNearPanels, last_panel - 1);
        const Packed* ahead = block_x + later * depth * kTileT + smaller(j / kTileM, 2) * 16;
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
  Packed* packed_x = static_cast<Packed*>(
      pool.shared_scratch(static_cast<size_t>(plan.part_rows * plan.part_depth) * sizeof(Packed), ThreadPool::Shared::kLinear));
  // Packed w and, behind it, the bias of the same columns. Uneven groups may hold one tile more than the average.
  const int64_t most_columns = ceil_div(plan.column_tiles, plan.groups) * kTileM;
  const size_t w_bytes = static_cast<size_t>(most_columns * (plan.depth * kPackedSize + static_cast<int64_t>(sizeof(float))));
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
          pack_x(packed_x + (k * panels + panel * up_to_multiple(depth, kStep)) * kTileT, start + t, part + k, depth, smaller(kTileT, rows - t));
        }
      });
      pool.parallel_for(plan.groups * row_groups, 1, [&](int64_t task, int64_t, int thread) {
        [[maybe_unused]] const TileState state;
        Packed* packed_w = static_cast<Packed*>(pool.scratch(thread, 0));
        float* bias_of_task = reinterpret_cast<float*>(packed_w + most_columns * plan.depth);
        const int64_t group = task / row_groups;
        const int64_t m = group * plan.column_tiles / plan.groups * kTileM;
        const int64_t columns = smaller(M, (group + 1) * plan.column_tiles / plan.groups * kTileM) - m;
        for (int64_t j = 0; j < columns; j++) bias_of_task[j] = bias_at(begins.bias, m + j);
        const int64_t first_panel = task % row_groups * task_panels;
        const int64_t last_panel = smaller(panels, first_panel + task_panels);
        float* target = out + start * M + m;
        for (int64_t k = 0; k == 0 || k < part_depth; k += plan.depth) {
          const int64_t depth = smaller(plan.depth, part_depth - k), filled = up_to_multiple(depth, kStep);
          for (int64_t j = 0; j < columns; j += kTileM) {
            pack_w(packed_w + j * filled, m + j, part + k, depth, smaller(kTileM, columns - j));
          }
          const bool is_first = part + k == 0 && !begins.adds;
          multiply_block(target, is_first ? bias_of_task : target, is_first ? 0 : M, packed_x + k * panels * kTileT, packed_w, filled, first_panel,
                         last_panel, rows, columns, M);
        }
      });
    }
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
