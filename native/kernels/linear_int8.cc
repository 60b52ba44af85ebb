// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] for packed int8 weights: rows become int8 codes (quantize_rows.cc), sums are exact int32.
// Versions (1024 rows, one thread of a busy Zen 3, GOP/s for 1152 → 4304 and 4304 → 1152; a tile alone in L1 runs at 179):
//   1. chunks of 48 rows; the first tile of a chunk waits for the panel             140  140
//   2. chunks as large as L2 holds; four tiles prefetch a quarter of a block each   153  156  ← this
#include "fused.h"
#include "int8_product.h"
#include "row_count.h"
#if defined(NVILA_ISA_AMX)
#include "int8_amx.h"
#endif

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kSteps = 288;        // of a depth block: 18 KiB of a panel stay in L1 while all rows of a chunk run past it
constexpr int64_t kStreamedRows = 16;       // up to here panels are read from memory once and prefetched
#if defined(NVILA_ISA_AMX)
constexpr int64_t kVectorRows = 4;          // up to here vectors are faster than tiles
#endif
#if defined(NVILA_ISA_AMX)
constexpr int64_t kChunkBytes = int64_t{640} << 10;  // of a chunk's codes, all inputs: they stay in L2 while panels run past them
constexpr int64_t kMostChunkRows = 512, kLeastChunkRows = 96, kRowUnit = 32;  // multiples of tiles
#else
constexpr int64_t kChunkBytes = int64_t{192} << 10;
constexpr int64_t kMostChunkRows = 120, kLeastChunkRows = 24, kRowUnit = kInt8Rows;
#endif
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
  const int64_t fitting = kChunkBytes / larger(1, C) / kRowUnit * kRowUnit;
  return larger(kLeastChunkRows, smaller(kMostChunkRows, fitting));
}

size_t task_bytes(int64_t rows) {
#if defined(NVILA_ISA_AMX)
  return int8_amx_bytes(rows);
#else
  return static_cast<size_t>(rows * kPanel) * sizeof(int32_t);
#endif
}

// Panel p times rows [row, row + height).
void panel_times_rows(const Int8Product& product, int64_t p, int64_t row, int64_t height, int32_t* sums) {
  const int64_t total_steps = product.sizes.inputs / 4, stride = product.rows.stride;
  for (int64_t s = 0; s < total_steps; s += kSteps) {
    const int64_t steps = smaller(kSteps, total_steps - s);
    const uint8_t* weights = product.panel(p) + s * kStepBytes;
    const int8_t* codes = product.rows.codes + row * stride + 4 * s;
    const uint8_t* next = weights + steps * kStepBytes;
    if (height == 1) tiles<1, 4>(sums, weights, codes, stride, steps, s == 0, 1, weights + kAheadBytes);
    else if (height <= 4) all_tiles<4>(sums, weights, codes, stride, steps, s == 0, height, weights + kAheadBytes);
    else if (height <= 8) all_tiles<2>(sums, weights, codes, stride, steps, s == 0, height, next);
    else if (height <= kStreamedRows) all_tiles<1>(sums, weights, codes, stride, steps, s == 0, height, next);
    else many_tiles(sums, weights, codes, stride, steps, s == 0, height, next);
  }
  product.finish<1>(sums, 0, p, row, height);
}

// Panels [first, last) times rows [row, row + height).
void panels_times_rows(const Int8Product& product, int64_t first, int64_t last, int64_t row, int64_t height, void* memory) {
#if defined(NVILA_ISA_AMX)
  if (height > kVectorRows) return int8_amx(product, first, last, row, height, memory);
#endif
  for (int64_t p = first; p < last; p++) panel_times_rows(product, p, row, height, static_cast<int32_t*>(memory));
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
  Int8Product product = {packed, sizes, scales, bias, int8_rows(memory, part, C), nullptr, M};
  const int64_t panels = ceil_div(M, kPanel);
  // Tasks: chunks of rows times groups of panels.
  const int64_t most_rows = chunk_rows(C);
  const int64_t chunk = part <= most_rows ? part : up_to_multiple(ceil_div(part, ceil_div(part, most_rows)), kRowUnit);
  const size_t scratch_bytes = task_bytes(chunk);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, scratch_bytes)) return Status::kOutOfMemory;
  }

  for (int64_t start = 0; start < T; start += part) {
    const int64_t count = smaller(part, T - start);
    if (!reuse || part < T) {
      const auto quantize = [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; t++) quantize_int8_row(product.rows, t, x + (start + t) * C, C);
      };
      if (count * C < (1 << 14)) quantize(0, count, 0);
      else pool.parallel_for(count, larger(1, (1 << 13) / larger(C, 1)), [&](int64_t begin, int64_t end, int thread) { quantize(begin, end, thread); });
    }
    const int64_t chunks = ceil_div(count, chunk);
    const int64_t wanted = larger(1, ceil_div(8 * pool.threads(), chunks));
    const int64_t group = up_to_multiple(larger(1, ceil_div(panels, wanted)), 2);
    const int64_t groups = ceil_div(panels, group);
    product.out = out + start * M;
    pool.parallel_for(chunks * groups, 1, [&](int64_t task, int64_t, int thread) {
      const int64_t row = task / groups * chunk, first = task % groups * group;
      panels_times_rows(product, first, smaller(panels, first + group), row, smaller(chunk, count - row), pool.scratch(thread, 0));
    });
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
