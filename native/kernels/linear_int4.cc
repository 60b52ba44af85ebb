// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] for packed int4 weights: rows become int8 codes, one scale for each group (or codes of two or
// three bytes, a row for each byte), sums within a group are exact, sums of groups are f32 in one fixed order. And gated products, silu(x · gateᵀ) · (x · upᵀ).
// Versions (1536 → 8960, one thread of a busy Zen 3, GOP/s for 8, 16 and 512 rows; a tile alone in L1: 231 from nibbles, 247 from bytes):
//   1. up to 8 rows from nibbles; more: depth blocks, then panels, then tiles, each block unpacked before    197  144  188
//   2. nibbles for every number of rows                                                                     195  199  177
//   3. panels, depth blocks, tiles; the first tile leaves what it unpacked for the others                   160  165  207
//   4. the second up to 16 rows, the third beyond: a panel's sums stay in L1, its weights are awaited once  ← this
// No gain: 8 · Σ codes by a shift where there are no zero points, instead of a product (a group's end is a tenth of a tile's time).
#include <algorithm>

#include "fused.h"
#include "int4_product.h"
#include "row_count.h"
#if defined(NVILA_ISA_AMX)
#include "int4_amx_wide.h"
#endif

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kDirectRows = 16;                   // up to here every tile unpacks weights in registers
constexpr int64_t kDepth = 1024;                      // inputs of a depth block: 16 KiB unpacked stay in L1 while all rows of a chunk run past them
#if defined(NVILA_ISA_AMX)
constexpr int64_t kVectorRows = 4;                    // up to here vectors are faster than tiles
constexpr int64_t kChunkBytes = int64_t{1280} << 10;  // of a chunk's codes, all inputs: they stay in L2 while panels run past them
constexpr int64_t kMostChunkRows = 576, kLeastChunkRows = 96;
#else
constexpr int64_t kChunkBytes = int64_t{192} << 10;
constexpr int64_t kMostChunkRows = 120, kLeastChunkRows = 24;
#endif

// acc[count][16] += rows [row, row + count) over all groups of a panel from its nibbles, in tiles of R rows and what is left. Each tile
// prefetches its share of the next panel.
template <int R, int group, int lines>
void direct_tiles(float* acc, const Int4Product& product, int64_t panel, int64_t row, int64_t count, const uint8_t* ahead) {
  const int64_t groups = product.sizes.groups;
  int64_t t = 0;
  for (; t + R <= count; t += R) {
    int4_tile<R, group, lines, false>(acc + t * kPanel, product.groups(panel, 0), product.codes(row + t, 0), groups, ahead, nullptr);
    ahead += groups * group / 32 * lines * 64;
  }
  if constexpr (R > 1) {
    if (t < count) direct_tiles<R - 1, group, lines>(acc + t * kPanel, product, panel, row + t, count - t, ahead);
  }
}

// acc[count][16] += rows [row, row + count) over groups [g, g + groups) of a panel that was unpacked, in tiles of R rows and what is left. The
// first three prefetch a quarter of what comes each.
template <int R, int group>
void unpacked_tiles(float* acc, const uint8_t* unpacked, const Int4Product& product, int64_t panel, int64_t g, int64_t row, int64_t count, int64_t groups,
                    const uint8_t* ahead) {
  const Int4Groups weights = product.groups(panel, g);
  int64_t t = 0;
  for (; t + R <= count && t < 3 * R; t += R) {
    int4_tile_unpacked<R, group, 1>(acc + t * kPanel, unpacked, weights, product.codes(row + t, g), groups, ahead);
    ahead += groups * group / 32 * 64;
  }
  for (; t + R <= count; t += R) {
    int4_tile_unpacked<R, group, 0>(acc + t * kPanel, unpacked, weights, product.codes(row + t, g), groups, nullptr);
  }
  if constexpr (R > 1) {
    if (t < count) unpacked_tiles<R - 1, group>(acc + t * kPanel, unpacked, product, panel, g, row + t, count - t, groups, ahead);
  }
}

// By depth blocks. The first tile unpacks a block's weights and leaves them for the others.
template <int R, int group>
void many_tiles(float* acc, uint8_t* unpacked, const Int4Product& product, int64_t panel, int64_t row, int64_t count) {
  const int64_t all = product.sizes.groups;
  for (int64_t g = 0; g < all; g += kDepth / group) {
    const int64_t groups = smaller(kDepth / group, all - g);
    const Int4Groups weights = product.groups(panel, g);
    const uint8_t* next = weights.codes + groups * group / kBlock * kBlockBytes;
    int4_tile<R, group, 1, true>(acc, weights, product.codes(row, g), groups, next, unpacked);
    next += groups * group / 32 * 64;
    unpacked_tiles<R, group>(acc + R * kPanel, unpacked, product, panel, g, row + R, count - R, groups, next);
  }
}

// acc[count][16] = rows [row, row + count) times a panel.
template <int group>
void run(float* acc, uint8_t* unpacked, const Int4Product& product, int64_t panel, int64_t row, int64_t count) {
  std::memset(acc, 0, static_cast<size_t>(count * kPanel) * sizeof(float));
  const uint8_t* codes = product.groups(panel, 0).codes;
  const uint8_t* near = codes + kAheadBytes;
  const uint8_t* next = codes + product.sizes.panel_bytes;
  if (count <= kDirectRows) {
    with_rows<kInt4Rows>(ceil_div(count, ceil_div(count, kInt4Rows)), [&](auto height) {  // tiles of equal height: 6 rows are 3 + 3
      constexpr int R = decltype(height)::count;
      if (count <= kInt4Rows) direct_tiles<R, group, 4>(acc, product, panel, row, count, near);
      else if (count <= 2 * kInt4Rows) direct_tiles<R, group, 2>(acc, product, panel, row, count, next);
      else direct_tiles<R, group, 1>(acc, product, panel, row, count, next);
    });
    return;
  }
  many_tiles<kInt4Rows, group>(acc, unpacked, product, panel, row, count);
}

// A multiple of this many rows of codes fills tiles, and holds all bytes of its codes.
int64_t row_unit([[maybe_unused]] int64_t bytes_of_code) {
#if defined(NVILA_ISA_AMX)
  return bytes_of_code == 3 ? 3 * kRowsAtOnce : kRowsAtOnce;
#else
  return 3 * kInt4Rows;
#endif
}

// Rows of codes that go past a panel together, as even as they can be.
int64_t chunk_rows(int64_t rows, int64_t C, int64_t bytes_of_code) {
  const int64_t unit = row_unit(bytes_of_code), fitting = kChunkBytes / larger(1, C) / unit * unit;
  const int64_t most = larger(kLeastChunkRows, smaller(kMostChunkRows, fitting));
  return rows <= most ? rows : smaller(most, up_to_multiple(ceil_div(rows, ceil_div(rows, most)), unit));
}

size_t task_bytes([[maybe_unused]] const Int4Product& product, int64_t rows) {
#if defined(NVILA_ISA_AMX)
  const size_t wide = is_wide(product, rows) ? Int4WideMemory::bytes(rows, product.sizes.groups, product.sizes.groups * product.header.group) : 0;
  return std::max(wide, Int4AmxMemory::bytes(rows));
#else
  return static_cast<size_t>(rows * kPanel) * sizeof(float) + static_cast<size_t>(kDepth * kPanel);
#endif
}

// Panels [first, last) times rows [row, row + count).
template <int group>
void panels_times_rows(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* memory) {
#if defined(NVILA_ISA_AMX)
  if (is_wide(product, count) && (last - first) % 2 == 0) return int4_wide<group>(product, first, last, row, count, memory);
  if (count > kRowsAtOnce) return int4_amx<group>(product, first, last, row, count, memory);
  if (count > kAmxRows) return int4_amx_few<group, 2>(product, first, last, row, count, memory);
  if (count > kVectorRows) return int4_amx_few<group, 1>(product, first, last, row, count, memory);
#endif
  float* acc = static_cast<float*>(memory);
  for (int64_t panel = first; panel < last; panel++) {
    run<group>(acc, reinterpret_cast<uint8_t*>(acc + count * kPanel), product, panel, row, count);
    product.finish<1>(acc, 0, panel, row, count);
  }
}

template <typename... Arguments>
void with_group(int64_t group, Arguments&&... arguments) {
  if (group == 128) panels_times_rows<128>(arguments...);
  else if (group == 64) panels_times_rows<64>(arguments...);
  else panels_times_rows<32>(arguments...);
}

Int4Product product_of(const uint8_t* packed, Weight bias, int64_t M, int64_t bytes_of_code) {
  Int4Product product = {};
  product.packed = packed;
  product.header = packed_header(packed);
  product.sizes = packed_sizes(product.header);
  product.bias = bias;
  product.bytes_of_code = bytes_of_code;
  product.M = M;
  return product;
}

// out[T, M] = x · product's weight + bias; with a gate (of the same width and groups) silu(x · gate's weight) times that: the gate's values of a task
// stay in L2 until the others meet them.
Status multiply_int4(ThreadPool& pool, float* out, const float* x, Int4Product* gate, Int4Product& product, int64_t T, bool reuse) {
  const int64_t C = product.header.inputs, group = product.header.group, M = product.M, bytes_of_code = product.bytes_of_code;
  if (T == 0 || M == 0) return Status::kOk;
  const int64_t part = smaller(T, kMostRowsOfPart);
  const int64_t groups = product.sizes.groups;
  void* shared = pool.shared_scratch(int4_rows_bytes(part * bytes_of_code, C, groups), ThreadPool::Shared::kRows);
  if (!shared) return Status::kOutOfMemory;
  product.rows = int4_rows(shared, part * bytes_of_code, C, groups);
  if (gate) gate->rows = product.rows;

  const int64_t panels = ceil_div(M, kPanel);
  const int64_t rows = part * bytes_of_code, chunk = chunk_rows(rows, C, bytes_of_code);
  const int64_t wanted = larger(1, ceil_div(16 * pool.threads(), ceil_div(rows, chunk)));
  const int64_t span = up_to_multiple(larger(1, ceil_div(panels, wanted)), 2);  // panels of a task
  const int64_t spans = ceil_div(panels, span);
  const size_t own_bytes = (task_bytes(product, chunk) + 63) / 64 * 64;
  const size_t gate_bytes = gate ? static_cast<size_t>(ceil_div(chunk, bytes_of_code) * span * kPanel) * sizeof(float) : 0;
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, own_bytes + gate_bytes)) return Status::kOutOfMemory;
  }

  for (int64_t start = 0; start < T; start += part) {
    const int64_t count = smaller(part, T - start);
    if (!reuse || part < T) {
      const auto quantize = [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; t++) quantize_int4_row(product.rows, t, x + (start + t) * C, C, group, bytes_of_code);
      };
      if (count * C < (1 << 14)) quantize(0, count);
      else pool.parallel_for(count, larger(1, (1 << 13) / C), [&](int64_t begin, int64_t end, int) { quantize(begin, end); });
    }
    const int64_t code_rows = count * bytes_of_code;
    pool.parallel_for(ceil_div(code_rows, chunk) * spans, 1, [&](int64_t task, int64_t, int thread) {
      void* memory = pool.scratch(thread, 0);
      const int64_t row = task / spans * chunk, height = smaller(chunk, code_rows - row);
      const int64_t first = task % spans * span, last = smaller(panels, first + span);
      Int4Product own = product;
      own.out = {out + start * M, M, 0, 0};
      if (gate) {
        Int4Product before = *gate;
        before.out = {reinterpret_cast<float*>(static_cast<uint8_t*>(memory) + own_bytes), span * kPanel, row / bytes_of_code, first};
        with_group(group, before, first, last, row, height, memory);
        own.gate = before.out;
      }
      with_group(group, own, first, last, row, height, memory);
    });
  }
  return Status::kOk;
}

}  // namespace

Status linear_int4(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M,
                   int64_t bytes_of_code, bool reuse) {
  Int4Product product = product_of(packed, bias, M, bytes_of_code);
  return multiply_int4(pool, out, x, nullptr, product, T, reuse);
}

Status gated_int4(ThreadPool& pool, float* out, const float* x, const uint8_t* gate, const uint8_t* up, int64_t T, int64_t M, int64_t bytes_of_code,
                  bool reuse) {
  const Weight none = {nullptr, DType::kF32};
  Int4Product gates = product_of(gate, none, M, bytes_of_code), product = product_of(up, none, M, bytes_of_code);
  return multiply_int4(pool, out, x, &gates, product, T, reuse);
}

}  // namespace NVILA_ISA
}  // namespace nvila
