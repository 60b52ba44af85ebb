// out[T, M] for many rows of x, after BLIS (Van Zee, van de Geijn 2015): a tile of kTileT × kTileM sums stays in registers
// while it runs over one depth block of packed panels.
//   x panels, packed by all threads before the loop: [depth block][T / kTileT][depth][kTileT]
//   w panels, packed by the thread that needs them:  [columns / kTileM][depth][kTileM], widened to f32 on the way
// Each sum runs over C in one fixed order, whatever the blocks and threads are.
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int kVectors = F32::width == 1 ? 4 : 2;  // vectors of a tile row
constexpr int kTileM = kVectors * F32::width;
constexpr int kTileT = F32::width == 1 ? 4 : 6;
constexpr int64_t kDepth = 384;    // of a block: a w panel of 24 KiB stays in L1
constexpr int64_t kColumns = 64;   // w rows of one task: 96 KiB packed
constexpr int64_t kRowsInL2 = 96;  // x rows that run past one w panel
constexpr int64_t kPackedBytes = int64_t{16} << 20;  // of x; longer x is done in parts

// tile[kTileT][kTileM] = x panel[depth][kTileT]ᵀ · w panel[depth][kTileM] + base, base[t · base_stride + m].
// Writes `rows` × `columns` of it to out.
NVILA_INLINE void tile(float* out, int64_t out_stride, const float* base, int64_t base_stride, const float* x, const float* w,
                       int64_t depth, int64_t rows, int64_t columns) {
  F32 acc[kTileT][kVectors];
#pragma GCC unroll 8
  for (int t = 0; t < kTileT; t++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) acc[t][v] = zero();
  }
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; k++) {
    F32 row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) row[v] = load(w + k * kTileM + v * F32::width);
#pragma GCC unroll 8
    for (int t = 0; t < kTileT; t++) {
      const F32 value = splat(x[k * kTileT + t]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) acc[t][v] = fma(value, row[v], acc[t][v]);
    }
  }
  if (rows == kTileT && columns == kTileM) {
#pragma GCC unroll 8
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

// panel[depth][kTileM] from rows w[columns][depth] with stride C; missing columns are 0.
template <typename W>
void pack_w(float* panel, const W* w, int64_t C, int64_t depth, int64_t columns) {
  for (int v = 0; v < kVectors; v++) {
    const int64_t first = v * F32::width;
    const int64_t count = smaller(larger(columns - first, 0), F32::width);
    int64_t k = 0;
    if (count == F32::width) {
      for (; k + F32::width <= depth; k += F32::width) {
        F32 block[F32::width];
        for (int r = 0; r < F32::width; r++) block[r] = load_weight(w + (first + r) * C + k);
        transpose(block);
        for (int r = 0; r < F32::width; r++) store(panel + (k + r) * kTileM + first, block[r]);
      }
    }
    for (; k < depth; k++) {
      for (int64_t r = 0; r < F32::width; r++) panel[k * kTileM + first + r] = r < count ? widen(w + (first + r) * C + k) : 0.0f;
    }
  }
}

// panel[depth][kTileT] from rows x[rows][depth] with stride C; missing rows are 0.
void pack_x(float* panel, const float* x, int64_t C, int64_t depth, int64_t rows) {
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

struct Blocks {
  int64_t depth;   // of every block but the last
  int64_t count;   // of blocks
};

Blocks depth_blocks(int64_t C) {
  const int64_t count = larger(1, ceil_div(C, kDepth));
  const int64_t depth = larger(8, ceil_div(ceil_div(C, count), 8) * 8);
  return {depth, larger(1, ceil_div(C, depth))};
}

}  // namespace

template <typename W>
Status linear_many(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  const Blocks blocks = depth_blocks(C);
  // Rows of x that are packed at a time.
  const int64_t part = larger(kRowsInL2, smaller(ceil_div(T, kTileT), kPackedBytes / (larger(C, 1) * 4 * kTileT)) * kTileT);
  const int64_t panels = ceil_div(smaller(part, T), kTileT);
  const int64_t padded = panels * kTileT;
  // + width: the last store of a panel may be a full vector.
  float* packed_x = static_cast<float*>(
      pool.shared_scratch(static_cast<size_t>(padded * C + F32::width) * sizeof(float), ThreadPool::Shared::kLinear));
  const size_t w_bytes = static_cast<size_t>(kColumns * blocks.depth + kColumns) * sizeof(float);
  bool is_enough = packed_x != nullptr;
  for (int thread = 0; is_enough && thread < pool.threads(); thread++) is_enough = pool.scratch(thread, w_bytes) != nullptr;
  if (!is_enough) return Status::kOutOfMemory;

  // Tasks: groups of columns, and when these are too few for the threads, also groups of rows.
  const int64_t groups = ceil_div(M, kColumns);
  for (int64_t start = 0; start < T; start += part) {
    const int64_t rows = smaller(part, T - start);
    const int64_t row_panels = ceil_div(rows, kTileT);
    pool.parallel_for(row_panels * blocks.count, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t block = i / row_panels, panel = i % row_panels;
        const int64_t k = block * blocks.depth, depth = smaller(blocks.depth, C - k);
        const int64_t t = panel * kTileT;
        pack_x(packed_x + k * row_panels * kTileT + panel * depth * kTileT, x + (start + t) * C + k, C, depth, smaller(kTileT, rows - t));
      }
    });
    const int64_t wanted = groups >= 4 * pool.threads() || pool.threads() == 1 ? 1 : ceil_div(4 * pool.threads(), groups);
    const int64_t task_panels = larger(8, ceil_div(row_panels, wanted));
    const int64_t row_groups = ceil_div(row_panels, task_panels);
    pool.parallel_for(groups * row_groups, 1, [&](int64_t task, int64_t, int thread) {
      float* packed_w = static_cast<float*>(pool.scratch(thread, 0));
      float* base = packed_w + kColumns * blocks.depth;
      const int64_t m = task / row_groups * kColumns, columns = smaller(kColumns, M - m);
      const int64_t first_panel = task % row_groups * task_panels;
      const int64_t last_panel = smaller(row_panels, first_panel + task_panels);
      for (int64_t j = 0; j < kColumns; j++) base[j] = j < columns ? bias_at(bias, m + j) : 0.0f;
      for (int64_t k = 0; k < C || k == 0; k += blocks.depth) {
        const int64_t depth = smaller(blocks.depth, C - k);
        for (int64_t j = 0; j < columns; j += kTileM) {
          pack_w(packed_w + j * depth, w + (m + j) * C + k, C, depth, smaller(kTileM, columns - j));
        }
        const float* block_x = packed_x + k * row_panels * kTileT;
        for (int64_t near = first_panel; near < last_panel; near += kRowsInL2 / kTileT) {
          const int64_t near_end = smaller(last_panel, near + kRowsInL2 / kTileT);
          for (int64_t j = 0; j < columns; j += kTileM) {
            for (int64_t panel = near; panel < near_end; panel++) {
              const int64_t t = panel * kTileT;
              float* target = out + (start + t) * M + m + j;
              tile(target, M, k == 0 ? base + j : target, k == 0 ? 0 : M, block_x + panel * depth * kTileT, packed_w + j * depth, depth,
                   smaller(kTileT, rows - t), smaller(kTileM, columns - j));
            }
          }
        }
      }
    });
  }
  return Status::kOk;
}

template Status linear_many(ThreadPool&, float*, const float*, const float*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const Bf16*, Weight, int64_t, int64_t, int64_t);
template Status linear_many(ThreadPool&, float*, const float*, const F16*, Weight, int64_t, int64_t, int64_t);

}  // namespace NVILA_ISA
}  // namespace nvila
