// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] for packed int4 weights: rows become int8 codes, one scale for each group (or codes of two or
// three bytes, a row for each byte), sums within a group are exact, sums of groups are f32 in one fixed order.
#include "int4_tile.h"
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kDirectRows = 8;         // up to here weights are unpacked in registers: they are read once, from memory
constexpr int64_t kDepth = 1024;           // inputs of a depth block: 16 KiB unpacked stay in L1 while a chunk's rows run past them
constexpr int64_t kChunkRows = 120;        // of codes, at most: those of one depth block stay in L2; a multiple of tiles and of 1, 2, 3 bytes
constexpr int64_t kMostPanels = 16;        // of a task with many rows: 120 · 16 · 16 sums are 120 KiB
constexpr int64_t kMostRowsOfPart = 4096;  // rows that are quantised at a time
constexpr int64_t kAheadBytes = 4096;      // of the prefetch for few rows

struct Product {
  const uint8_t* packed;
  PackedHeader header;
  PackedSizes sizes;
  Int4Rows rows;

  Int4Groups groups(int64_t panel, int64_t g) const {
    const uint8_t* start = packed + sizes.first_panel + panel * sizes.panel_bytes;
    return {start + sizes.codes + g * header.group / kBlock * kBlockBytes, start + g * kPanel * header.scale_bytes,
            header.has_zeros ? start + sizes.zeros + g * kPanel : nullptr, header.scale_bytes == 2};
  }

  Int4Codes codes(int64_t row, int64_t g) const {
    const int64_t at = row * rows.groups + g;
    return {rows.codes + row * rows.stride + g * header.group, rows.stride, rows.scales + at, rows.sums + at, rows.groups};
  }
};

// acc[count][16] += rows [row, row + count) over groups [g, g + groups) of a panel, in tiles of R rows and what is left.
template <int R, int group, int lines>
void direct_tiles(float* acc, const Product& product, int64_t panel, int64_t row, int64_t count, int64_t groups, const uint8_t* ahead) {
  int64_t t = 0;
  for (; t + R <= count; t += R) {
    int4_tile<R, group, lines>(acc + t * kPanel, product.groups(panel, 0), product.codes(row + t, 0), groups, ahead);
    ahead += groups * group / 32 * lines * 64;
  }
  if constexpr (R > 1) {
    if (t < count) direct_tiles<R - 1, group, lines>(acc + t * kPanel, product, panel, row + t, count - t, groups, ahead);
  } else {
    (void)ahead;
  }
}

template <int R, int group>
void unpacked_tiles(float* acc, const uint8_t* unpacked, const Product& product, int64_t panel, int64_t g, int64_t row, int64_t count, int64_t groups) {
  int64_t t = 0;
  for (; t + R <= count; t += R) {
    int4_tile_unpacked<R, group>(acc + t * kPanel, unpacked, product.groups(panel, g), product.codes(row + t, g), groups);
  }
  if constexpr (R > 1) {
    if (t < count) unpacked_tiles<R - 1, group>(acc + t * kPanel, unpacked, product, panel, g, row + t, count - t, groups);
  }
}

// Few rows: a panel at a time, all groups.
template <int group>
void few_rows(float* acc, const Product& product, int64_t panel, int64_t row, int64_t count) {
  const int64_t groups = product.sizes.groups;
  const uint8_t* codes = product.groups(panel, 0).codes;
  const uint8_t* next = codes + product.sizes.panel_bytes;
  switch (count) {  // tiles of equal height
    case 1: return direct_tiles<1, group, 4>(acc, product, panel, row, count, groups, codes + kAheadBytes);
    case 2: return direct_tiles<2, group, 4>(acc, product, panel, row, count, groups, codes + kAheadBytes);
    case 3: return direct_tiles<3, group, 4>(acc, product, panel, row, count, groups, codes + kAheadBytes);
    case 4: return direct_tiles<4, group, 4>(acc, product, panel, row, count, groups, codes + kAheadBytes);
    case 5:
    case 6: return direct_tiles<3, group, 2>(acc, product, panel, row, count, groups, next);
    default: return direct_tiles<4, group, 2>(acc, product, panel, row, count, groups, next);
  }
}

// Many rows: panels [first, last) by depth blocks that are unpacked once. acc[last − first][count][16].
template <int group>
void many_rows(float* acc, uint8_t* unpacked, const Product& product, int64_t first, int64_t last, int64_t row, int64_t count) {
  const int64_t all = product.sizes.groups;
  const int64_t height = ceil_div(count, ceil_div(count, kInt4Rows));
  for (int64_t g = 0; g < all; g += kDepth / group) {
    const int64_t groups = smaller(kDepth / group, all - g);
    for (int64_t panel = first; panel < last; panel++) {
      unpack_blocks(unpacked, product.groups(panel, g).codes, groups * group / kBlock);
      float* target = acc + (panel - first) * count * kPanel;
      if (height == 4) unpacked_tiles<4, group>(target, unpacked, product, panel, g, row, count, groups);
      else unpacked_tiles<3, group>(target, unpacked, product, panel, g, row, count, groups);
    }
  }
}

template <int group>
void run(float* acc, uint8_t* unpacked, const Product& product, int64_t first, int64_t last, int64_t row, int64_t count) {
  std::memset(acc, 0, static_cast<size_t>((last - first) * count * kPanel) * sizeof(float));
  if (count > kDirectRows) return many_rows<group>(acc, unpacked, product, first, last, row, count);
  for (int64_t panel = first; panel < last; panel++) few_rows<group>(acc + (panel - first) * count * kPanel, product, panel, row, count);
}

}  // namespace

Status linear_int4(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M,
                   int64_t bytes_of_code, bool reuse) {
  Product product = {packed, packed_header(packed), {}, {}};
  product.sizes = packed_sizes(product.header);
  const int64_t C = product.header.inputs, group = product.header.group;
  if (T == 0 || M == 0) return Status::kOk;
  const int64_t part = smaller(T, kMostRowsOfPart);
  const int64_t groups = product.sizes.groups;
  void* memory = pool.shared_scratch(int4_rows_bytes(part * bytes_of_code, C, groups), ThreadPool::Shared::kRows);
  if (!memory) return Status::kOutOfMemory;
  product.rows = int4_rows(memory, part * bytes_of_code, C, groups);

  const int64_t panels = ceil_div(M, kPanel);
  const int64_t rows = part * bytes_of_code;
  const int64_t chunk = rows <= kChunkRows ? rows : smaller(kChunkRows, up_to_multiple(ceil_div(rows, ceil_div(rows, kChunkRows)), 3 * kInt4Rows));
  const int64_t most_panels = chunk <= kDirectRows ? panels : kMostPanels;
  const int64_t wanted = larger(1, ceil_div(16 * pool.threads(), ceil_div(rows, chunk)));
  const int64_t span = smaller(most_panels, larger(1, ceil_div(panels, wanted)));  // panels of a task
  const int64_t spans = ceil_div(panels, span);
  const int64_t acc_floats = span * chunk * kPanel;
  const size_t scratch_bytes = static_cast<size_t>(acc_floats) * sizeof(float) + static_cast<size_t>(kDepth * kPanel);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, scratch_bytes)) return Status::kOutOfMemory;
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
      float* acc = static_cast<float*>(pool.scratch(thread, 0));
      uint8_t* unpacked = reinterpret_cast<uint8_t*>(acc + acc_floats);
      const int64_t row = task / spans * chunk, height = smaller(chunk, code_rows - row);
      const int64_t first = task % spans * span, last = smaller(panels, first + span);
      if (group == 128) run<128>(acc, unpacked, product, first, last, row, height);
      else if (group == 64) run<64>(acc, unpacked, product, first, last, row, height);
      else run<32>(acc, unpacked, product, first, last, row, height);
      for (int64_t panel = first; panel < last; panel++) {
        const float* sums = acc + (panel - first) * height * kPanel;
        const int64_t m = panel * kPanel, columns = smaller(kPanel, M - m);
        float base[kPanel];
        for (int64_t j = 0; j < kPanel; j++) base[j] = j < columns ? bias_at(bias, m + j) : 0.0f;
        for (int64_t t = 0; t < height; t += bytes_of_code) {
          float* target = out + (start + (row + t) / bytes_of_code) * M + m;
          float edge[kPanel];
          float* full = columns == kPanel ? target : edge;
          for (int64_t j = 0; j < kPanel; j += F32::width) {
            F32 sum = load(sums + t * kPanel + j);
            for (int64_t byte = 1; byte < bytes_of_code; byte++) sum = sum + load(sums + (t + byte) * kPanel + j);
            store(full + j, sum + load(base + j));
          }
          if (columns < kPanel) std::memcpy(target, edge, static_cast<size_t>(columns) * sizeof(float));
        }
      }
    });
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
