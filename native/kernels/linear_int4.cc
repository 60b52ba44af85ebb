// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] for packed int4 weights: rows become int8 codes, one scale for each group (or codes of two or
// three bytes, a row for each byte), sums within a group are exact, sums of groups are f32 in one fixed order. And a gated MLP of three of them.
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
constexpr int64_t kChunkBytes = int64_t{800} << 10;   // of a chunk's codes: they stay in L2, half of which a neighbour may use, while panels run past them
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

size_t task_bytes(int64_t rows) {
#if defined(NVILA_ISA_AMX)
  return Int4AmxMemory::bytes(rows);
#else
  return static_cast<size_t>(rows * kPanel) * sizeof(float) + static_cast<size_t>(kDepth * kPanel);
#endif
}

// Panels [first, last) times rows [row, row + count).
template <int group>
void panels_times_rows(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* memory) {
#if defined(NVILA_ISA_AMX)
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

// f(Rows<group>())
template <typename F>
void with_group(int64_t group, F&& f) {
  if (group == 128) f(Rows<128>());
  else if (group == 64) f(Rows<64>());
  else f(Rows<32>());
}

void panels_times_rows(const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t count, void* memory) {
  with_group(product.header.group, [&](auto group) { panels_times_rows<decltype(group)::count>(product, first, last, row, count, memory); });
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

// Room for the codes of `count` rows. False: out of memory.
bool take_rows(ThreadPool& pool, Int4Product& product, int64_t count, ThreadPool::Shared use) {
  const int64_t rows = count * product.bytes_of_code, inputs = product.header.inputs, groups = product.sizes.groups;
  void* memory = pool.shared_scratch(int4_rows_bytes(rows, inputs, groups), use);
  if (memory) product.rows = int4_rows(memory, rows, inputs, groups);
  return memory != nullptr;
}

// Codes of x[count, C]. Threads take rows by lines of the columns of scales where there are many.
void quantize(ThreadPool& pool, const Int4Product& product, const float* x, int64_t count) {
  const int64_t C = product.header.inputs;
  const auto some = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      quantize_int4_groups(product.rows, t, 0, product.rows.groups, x + t * C, C, product.header.group, product.bytes_of_code);
    }
  };
  if (count * C < (1 << 14)) some(0, count);
  else pool.parallel_for(count, count < 128 ? larger(1, (1 << 13) / C) : 16, [&](int64_t begin, int64_t end, int) { some(begin, end); });
}

// How a product is divided: a task is some rows of codes times some panels, over a depth block.
struct Tasks {
  int64_t panels, chunk, span;  // panels of the product; rows and panels of a task
  int64_t groups, depth;        // of the product, of a depth block
  bool is_wide = false;         // by Int4Wide; else depth is all groups
  bool is_together = false;     // gate and up by one of them
  size_t own_bytes;             // working memory of a task

  // rows: of codes, the most at a time. Tasks begin at multiples of `unit` panels. is_gated: a gate and an up product of this size.
  Tasks(const Int4Product& product, int64_t rows, int64_t threads, int64_t unit, [[maybe_unused]] bool is_gated = false)
      : panels(ceil_div(product.M, kPanel)), groups(product.sizes.groups), depth(groups) {
    const int64_t group = product.header.group;
#if defined(NVILA_ISA_AMX)
    const bool is_plain = product.bytes_of_code == 1 && !is_gated;  // others have no place for sums of a depth block
    is_wide = rows >= kLeastWideRows && panels % 2 == 0 && unit % 2 == 0 && (is_plain || groups * group <= kWideDepth);
    is_together = is_wide && is_gated && product.bytes_of_code == 1 && groups > 1;
    if (is_wide) depth = up_to_multiple(ceil_div(groups, ceil_div(groups * group, kWideDepth)), larger(1, kBlock / group));
#endif
    chunk = chunk_rows(rows, depth * group, product.bytes_of_code);
    const int64_t wanted = larger(1, ceil_div(16 * threads, ceil_div(rows, chunk)));
    span = up_to_multiple(larger(1, ceil_div(panels, wanted)), unit);
    size_t bytes = task_bytes(chunk);
#if defined(NVILA_ISA_AMX)
    if (is_wide) bytes = is_together ? Int4Wide<128, 2>::bytes(depth * group) : Int4Wide<128, 1>::bytes(depth * group);
#endif
    own_bytes = (bytes + 63) / 64 * 64;
  }

  // f(first panel, last panel, first row of codes, rows, memory) for every task of `rows` rows of codes.
  template <typename F>
  void run(ThreadPool& pool, int64_t rows, F&& f) const {
    const int64_t spans = ceil_div(panels, span);
    pool.parallel_for(ceil_div(rows, chunk) * spans, 1, [&](int64_t task, int64_t, int thread) {
      const int64_t row = task / spans * chunk, first = task % spans * span;
      f(first, smaller(panels, first + span), row, smaller(chunk, rows - row), pool.scratch(thread, 0));
    });
  }
};

bool reserve(ThreadPool& pool, size_t bytes) {
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, bytes)) return false;
  }
  return true;
}

// Rows of codes that fill up the last tiles get scales of 0.
void fill_up(const Int4Rows& rows, int64_t count) {
  for (int64_t g = 0; g < rows.groups; g++) {
    for (int64_t t = count; t < rows.column_stride && t < count + kReadRows; t++) rows.columns[g * rows.column_stride + t] = 0.0f;
  }
}

// A task of a product, over groups [g, g + groups).
void multiply_task([[maybe_unused]] const Tasks& tasks, const Int4Product& product, int64_t first, int64_t last, int64_t row, int64_t height,
                   [[maybe_unused]] int64_t g, [[maybe_unused]] int64_t groups, void* memory) {
#if defined(NVILA_ISA_AMX)
  if (tasks.is_wide) {
    return with_group(product.header.group, [&](auto group) {
      Int4Wide<decltype(group)::count, 1>({&product}, row, height, g, groups, memory).multiply(first, last);
    });
  }
#endif
  panels_times_rows(product, first, last, row, height, memory);
}

// out[count, M] = the product's codes times its weight + bias.
void multiply(ThreadPool& pool, const Tasks& tasks, Int4Product product, float* out, int64_t count) {
  product.out = {out, product.M, 0, 0};
  const int64_t rows = count * product.bytes_of_code;
  if (tasks.is_wide) fill_up(product.rows, rows);
  const Weight bias = product.bias;
  for (int64_t g = 0; g < tasks.groups; g += tasks.depth) {
    const int64_t groups = smaller(tasks.depth, tasks.groups - g);
    product.bias = g + groups == tasks.groups ? bias : Weight{nullptr, DType::kF32};
    tasks.run(pool, rows, [&](int64_t first, int64_t last, int64_t row, int64_t height, void* memory) {
      multiply_task(tasks, product, first, last, row, height, g, groups, memory);
    });
  }
}

// values = silu(gate's product) · up's product for a task.
void multiply_gated(const Tasks& tasks, Int4Product gates, Int4Product ups, int64_t first, int64_t last, int64_t row, int64_t height,
                    const Int4Values& values, void* memory) {
  gates.out = ups.out = values;
#if defined(NVILA_ISA_AMX)
  if (tasks.is_together) {
    return with_group(ups.header.group, [&](auto group) {
      Int4Wide<decltype(group)::count, 2>({&gates, &ups}, row, height, 0, tasks.groups, memory).multiply(first, last);
    });
  }
#endif
  ups.gate = values;  // gates, and what comes of them in their place
  multiply_task(tasks, gates, first, last, row, height, 0, tasks.groups, memory);
  multiply_task(tasks, ups, first, last, row, height, 0, tasks.groups, memory);
}

}  // namespace

Status linear_int4(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M,
                   int64_t bytes_of_code, bool reuse) {
  if (T == 0 || M == 0) return Status::kOk;
  Int4Product product = product_of(packed, bias, M, bytes_of_code);
  const int64_t part = smaller(T, kMostRowsOfPart);
  const Tasks tasks(product, part * bytes_of_code, pool.threads(), 2);
  if (!take_rows(pool, product, part, ThreadPool::Shared::kRows) || !reserve(pool, tasks.own_bytes)) return Status::kOutOfMemory;
  for (int64_t start = 0; start < T; start += part) {
    const int64_t count = smaller(part, T - start);
    if (!reuse || part < T) quantize(pool, product, x + start * product.header.inputs, count);
    multiply(pool, tasks, product, out + start * M, count);
  }
  return Status::kOk;
}

// What comes of a task's gates and up values stays in L2 until it is codes; where the two don't run together the gates wait there too.
Status gated_mlp_int4(ThreadPool& pool, float* out, const float* x, const uint8_t* gate, const uint8_t* up, const uint8_t* down, int64_t T, int64_t M,
                      int64_t bytes_of_code, bool reuse) {
  if (T == 0 || M == 0) return Status::kOk;
  const Weight none = {nullptr, DType::kF32};
  Int4Product downs = product_of(down, none, M, bytes_of_code);
  const int64_t inner = downs.header.inputs, inner_group = downs.header.group;
  Int4Product gates = product_of(gate, none, inner, bytes_of_code), ups = product_of(up, none, inner, bytes_of_code);
  const int64_t part = smaller(T, kMostRowsOfPart), rows = part * bytes_of_code, C = ups.header.inputs;
  const Tasks inner_tasks(ups, rows, pool.threads(), inner_group / kPanel, true), tasks(downs, rows, pool.threads(), 2);
  const int64_t stride = inner_tasks.span * kPanel;  // of a task's values
  const size_t values_bytes = static_cast<size_t>((ceil_div(inner_tasks.chunk, bytes_of_code) + kReadRows) * stride) * sizeof(float);
  if (!take_rows(pool, ups, part, ThreadPool::Shared::kRows) || !take_rows(pool, downs, part, ThreadPool::Shared::kCallerOfLinear) ||
      !reserve(pool, std::max(inner_tasks.own_bytes + values_bytes, tasks.own_bytes))) {
    return Status::kOutOfMemory;
  }
  gates.rows = ups.rows;
  for (int64_t start = 0; start < T; start += part) {
    const int64_t count = smaller(part, T - start);
    if (!reuse || part < T) quantize(pool, ups, x + start * C, count);
    if (inner_tasks.is_wide) fill_up(ups.rows, count * bytes_of_code);
    inner_tasks.run(pool, count * bytes_of_code, [&](int64_t first, int64_t last, int64_t row, int64_t height, void* memory) {
      float* values = reinterpret_cast<float*>(static_cast<uint8_t*>(memory) + inner_tasks.own_bytes);
      multiply_gated(inner_tasks, gates, ups, first, last, row, height, {values, stride, row / bytes_of_code, first}, memory);
      const int64_t first_group = first * kPanel / inner_group, width = smaller(inner, last * kPanel) - first * kPanel;
      const int64_t last_group = last == inner_tasks.panels ? downs.rows.groups : last * kPanel / inner_group;
      for (int64_t t = 0; t < height / bytes_of_code; t++) {
        quantize_int4_groups(downs.rows, row / bytes_of_code + t, first_group, last_group, values + t * stride, width, inner_group, bytes_of_code);
      }
    });
    multiply(pool, tasks, downs, out + start * M, count);
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
