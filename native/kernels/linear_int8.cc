// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] for packed int8 weights: rows become int8 codes (quantize_rows.cc), sums are exact int32.
// Versions (1024 rows, one thread of a busy Zen 3, GOP/s for 1152 → 4304 and 4304 → 1152; a tile alone in L1 runs at 179):
//   1. chunks of 48 rows; the first tile of a chunk waits for the panel             140  140
//   2. chunks as large as L2 holds; four tiles prefetch a quarter of a block each   153  156  ← this
#include "fused.h"
#include "int8_tile.h"
#include "linear.h"
#include "row_count.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kSteps = 288;        // of a depth block: 18 KiB of a panel stay in L1 while all rows of a chunk run past it
constexpr int64_t kStreamedRows = 16;       // up to here panels are read from memory once and prefetched
constexpr int64_t kChunkBytes = int64_t{192} << 10;  // of a chunk's codes, all inputs: they stay in L2 while panels run past them
constexpr int64_t kMostChunkRows = 120, kLeastChunkRows = 24;  // multiples of tiles
constexpr int64_t kAheadBytes = 4096;  // of the prefetch for one row

// Rows [t, t + rows) of one depth block.
template <int R, int lines>
void tiles(int32_t* sums, const uint8_t* weights, const int8_t* codes, int64_t stride, int64_t steps, bool first, int64_t rows,
           const uint8_t* ahead) {
  int64_t t = 0;
  for (; t + R <= rows; t += R) {
    int8_tile<R, lines>(sums + t * kPanel, weights, codes + t * stride, stride, steps, first, ahead);
    ahead += steps / 4 * lines * 64;
  }
  if constexpr (R > 1) {
    if (t < rows) tiles<R - 1, lines>(sums + t * kPanel, weights, codes + t * stride, stride, steps, first, rows - t, ahead);
  } else {
    (void)ahead;
  }
}

// Tiles of equal height, at most kInt8Rows: 5 rows are 3 + 2, not 4 + 1.
template <int lines>
void all_tiles(int32_t* sums, const uint8_t* weights, const int8_t* codes, int64_t stride, int64_t steps, bool first, int64_t rows,
               const uint8_t* ahead) {
  with_rows<kInt8Rows>(ceil_div(rows, ceil_div(rows, kInt8Rows)), [&](auto height) {
    tiles<decltype(height)::count, lines>(sums, weights, codes, stride, steps, first, rows, ahead);
  });
}

// Many rows: the first four tiles prefetch a quarter of the next block each.
void many_tiles(int32_t* sums, const uint8_t* weights, const int8_t* codes, int64_t stride, int64_t steps, bool first, int64_t rows,
                const uint8_t* ahead) {
  constexpr int64_t kFirst = 4 * kInt8Rows;
  const int64_t ahead_rows = smaller(kFirst, rows);
  tiles<kInt8Rows, 1>(sums, weights, codes, stride, steps, first, ahead_rows, ahead);
  tiles<kInt8Rows, 0>(sums + ahead_rows * kPanel, weights, codes + ahead_rows * stride, stride, steps, first, rows - ahead_rows, ahead);
}

// Rows of codes that go past a panel together.
int64_t chunk_rows(int64_t C) {
  const int64_t fitting = kChunkBytes / larger(1, C) / kInt8Rows * kInt8Rows;
  return larger(kLeastChunkRows, smaller(kMostChunkRows, fitting));
}

}  // namespace

Status linear_int8(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M, bool reuse) {
  const PackedHeader header = packed_header(packed);
  const PackedSizes sizes = packed_sizes(header);
  const int64_t C = header.inputs;
  if (T == 0 || M == 0) return Status::kOk;
  const float* scales = reinterpret_cast<const float*>(packed + sizeof(PackedHeader));
  const int64_t part = smaller(T, kMostRowsOfPart);
  void* memory = pool.shared_scratch(int8_rows_bytes(part, C), ThreadPool::Shared::kRows);
  if (!memory) return Status::kOutOfMemory;
  const Int8Rows rows = int8_rows(memory, part, C);
  const int64_t panels = ceil_div(M, kPanel);
  // Tasks: chunks of rows times groups of panels.
  const int64_t most_rows = chunk_rows(C);
  const int64_t chunk = part <= most_rows ? part : up_to_multiple(ceil_div(part, ceil_div(part, most_rows)), kInt8Rows);
  const size_t scratch_bytes = static_cast<size_t>(chunk * kPanel) * sizeof(int32_t);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, scratch_bytes)) return Status::kOutOfMemory;
  }
  const int64_t total_steps = sizes.inputs / 4;

  for (int64_t start = 0; start < T; start += part) {
    const int64_t count = smaller(part, T - start);
    if (!reuse || part < T) {
      const auto quantize = [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; t++) quantize_int8_row(rows, t, x + (start + t) * C, C);
      };
      if (count * C < (1 << 14)) quantize(0, count, 0);
      else pool.parallel_for(count, larger(1, (1 << 13) / larger(C, 1)), [&](int64_t begin, int64_t end, int thread) { quantize(begin, end, thread); });
    }
    const int64_t chunks = ceil_div(count, chunk);
    const int64_t wanted = larger(1, ceil_div(8 * pool.threads(), chunks));
    const int64_t group = larger(1, ceil_div(panels, wanted));
    const int64_t groups = ceil_div(panels, group);
    pool.parallel_for(chunks * groups, 1, [&](int64_t task, int64_t, int thread) {
      int32_t* sums = static_cast<int32_t*>(pool.scratch(thread, 0));
      const int64_t t0 = task / groups * chunk, height = smaller(chunk, count - t0);
      const int64_t first_panel = task % groups * group, last_panel = smaller(panels, first_panel + group);
      for (int64_t p = first_panel; p < last_panel; p++) {
        const uint8_t* panel = packed + sizes.first_panel + p * sizes.panel_bytes;
        for (int64_t s = 0; s < total_steps; s += kSteps) {
          const int64_t steps = smaller(kSteps, total_steps - s);
          const uint8_t* weights = panel + s * kStepBytes;
          const int8_t* codes = rows.codes + t0 * rows.stride + 4 * s;
          const uint8_t* next = weights + steps * kStepBytes;
          if (height == 1) tiles<1, 4>(sums, weights, codes, rows.stride, steps, s == 0, 1, weights + kAheadBytes);
          else if (height <= 4) all_tiles<4>(sums, weights, codes, rows.stride, steps, s == 0, height, weights + kAheadBytes);
          else if (height <= 8) all_tiles<2>(sums, weights, codes, rows.stride, steps, s == 0, height, next);
          else if (height <= kStreamedRows) all_tiles<1>(sums, weights, codes, rows.stride, steps, s == 0, height, next);
          else many_tiles(sums, weights, codes, rows.stride, steps, s == 0, height, next);
        }
        const int64_t m = p * kPanel, columns = smaller(kPanel, M - m);
        float base[kPanel];
        for (int64_t j = 0; j < kPanel; j++) base[j] = j < columns ? bias_at(bias, m + j) : 0.0f;
        for (int64_t t = 0; t < height; t++) {
          const int64_t row = t0 + t;
          float* target = out + (start + row) * M + m;
          float edge[kPanel];
          int8_finish(columns == kPanel ? target : edge, sums + t * kPanel, panel, rows.excess + row * rows.most, rows.counts[row],
                      rows.sums[row], rows.scales[row], scales + m, base);
          if (columns < kPanel) std::memcpy(target, edge, static_cast<size_t>(columns) * sizeof(float));
        }
      }
    });
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
