// Attention with tiles of bf16 (amx.h), for callers that let queries, keys, values and weights be rounded; keys and values
// are f32. A group of 32 rows meets a block of
// keys at a time, with a running maximum as in attention_block.h.
// Tried: each f32 as three bf16 and six of their nine products, which gives what f32 gives: 1.5 times as slow as f32 vectors (37 ms for
// SigLIP's 1024 × 1024 with 16 heads of 72, one thread of an Emerald Rapids).
#pragma once

#include "amx.h"
#include "attention.h"
#include "exp2.h"

namespace nvila {
namespace NVILA_ISA {
namespace tiled {

constexpr int64_t kRows = 2 * kAmxRows;  // of a group
constexpr int64_t kKeys = 128;            // of a block
constexpr int64_t kDepth = 32;            // of a tile of bf16
// Larger numbers may overflow on the way; they and NaN are left to f32.
constexpr int32_t kMostBits = (127 + 60) << 23;

// 16 numbers as bf16; `largest` gathers the bits of their magnitudes.
NVILA_INLINE __m256i rounded(F32 x, __m512i& largest) {
  largest = _mm512_max_epi32(largest, _mm512_castps_si512(abs(x).v));
  return (__m256i)_mm512_cvtneps_pbh(x.v);
}
NVILA_INLINE bool are_small(__m512i largest) { return _mm512_reduce_max_epi32(largest) < kMostBits; }

// Sizes that follow from D.
struct Sizes {
  int64_t D, depth_tiles, column_tiles;
  explicit Sizes(int64_t D) : D(D), depth_tiles(ceil_div(D, kDepth)), column_tiles(ceil_div(D, kPanel)) {}
  int64_t line() const { return depth_tiles * kDepth; }  // bf16 of a row of queries or keys
  int64_t columns() const { return column_tiles * kPanel; }
  int64_t query_bytes() const { return kRows * line() * 2; }
  int64_t sums_bytes() const { return kRows * columns() * 4; }
  int64_t group_bytes() const { return query_bytes() + sums_bytes() + 2 * kRows * 4; }
  int64_t key_bytes() const { return kKeys / kPanel * depth_tiles * kTileBytes; }
  int64_t value_bytes() const { return kKeys / kDepth * column_tiles * kTileBytes; }
  int64_t block_bytes() const {
    return key_bytes() + value_bytes() + kAmxRows * line() * 2 + kRows * kKeys * (4 + 2) + sums_bytes();
  }
};

// What a group keeps from block to block.
struct Group {
  uint16_t* queries;  // [32][line]
  float* sums;        // [32][columns] of weighted values
  float* totals;      // [32] of weights
  float* highest;     // [32] scores
  Group(const Sizes& sizes, uint8_t* memory)
      : queries(reinterpret_cast<uint16_t*>(memory)),
        sums(reinterpret_cast<float*>(memory + sizes.query_bytes())),
        totals(sums + kRows * sizes.columns()),
        highest(totals + kRows) {}
};

// A block of keys, and working memory.
struct Block {
  uint8_t* keys;      // [key tile][depth tile] tiles [16 pairs of depth][16 keys][2]
  uint8_t* values;    // [tile of 32 keys][column tile] tiles [16 pairs of keys][16 columns][2]
  uint16_t* lines;    // [16][line]: keys on their way
  float* scores;      // [32][128]
  uint16_t* weights;  // [32][128]
  float* added;       // [32][columns]: what the block adds to the sums
  Block(const Sizes& sizes, uint8_t* memory)
      : keys(memory),
        values(keys + sizes.key_bytes()),
        lines(reinterpret_cast<uint16_t*>(values + sizes.value_bytes())),
        scores(reinterpret_cast<float*>(lines + kAmxRows * sizes.line())),
        weights(reinterpret_cast<uint16_t*>(scores + kRows * kKeys)),
        added(reinterpret_cast<float*>(weights + kRows * kKeys)) {}
};

// line[D, filled up with zeros] = x[D] · (scale + rest)
NVILA_INLINE void write_line(uint16_t* line, const Sizes& sizes, const float* x, F32 scale, F32 rest, __m512i& largest) {
  for (int64_t d = 0; d < sizes.line(); d += F32::width) {
    const int count = static_cast<int>(larger(0, smaller(F32::width, sizes.D - d)));
    const F32 value = load_first(x + d, count);
    _mm256_store_si256(reinterpret_cast<__m256i*>(line + d), rounded(fma(value, scale, value * rest), largest));
  }
}

// False: a number is too large for tiles.
NVILA_INLINE bool pack_queries(const Group& group, const Sizes& sizes, const Segment& segment, int64_t head, int64_t first, int64_t rows) {
  __m512i largest = _mm512_setzero_si512();
  for (int64_t r = 0; r < rows; r++) {
    write_line(group.queries + r * sizes.line(), sizes, segment.q + segment.offset(head, first + r), splat(segment.scale),
               splat(segment.scale_rest), largest);
  }
  for (int64_t i = rows * sizes.line(); i < kRows * sizes.line(); i++) group.queries[i] = 0;
  for (int64_t i = 0; i < kRows * sizes.columns(); i++) group.sums[i] = 0.0f;
  for (int64_t r = 0; r < kRows; r++) {
    group.totals[r] = 0.0f;
    group.highest[r] = -__builtin_inff();
  }
  return are_small(largest);
}

// Keys and values [start, start + size) of a head. False: a number is too large for tiles.
inline bool pack_block(const Block& block, const Sizes& sizes, const Segment& segment, int64_t kv_head, int64_t start, int64_t size) {
  __m512i largest = _mm512_setzero_si512();
  const int64_t line = sizes.line(), D = sizes.D;
  const auto row_of = [&](const float* x, int64_t key) { return x + (segment.place(key) * segment.Hkv + kv_head) * D; };
  for (int64_t tile = 0; tile * kPanel < size; tile++) {
    for (int64_t s = 0; s < kPanel; s++) {
      const int64_t key = tile * kPanel + s;
      if (key < size) {
        write_line(block.lines + s * line, sizes, row_of(segment.k, start + key), splat(1.0f), zero(), largest);
      } else {
        std::memset(block.lines + s * line, 0, static_cast<size_t>(line) * 2);
      }
    }
    for (int64_t depth = 0; depth < sizes.depth_tiles; depth++) {
      F32 pairs[kPanel];
      for (int64_t s = 0; s < kPanel; s++) pairs[s] = load(reinterpret_cast<const float*>(block.lines + s * line + depth * kDepth));
      transpose(pairs);
      float* to = reinterpret_cast<float*>(block.keys + (tile * sizes.depth_tiles + depth) * kTileBytes);
      for (int64_t s = 0; s < kPanel; s++) store(to + s * kPanel, pairs[s]);
    }
  }
  for (int64_t s = 0; s < up_to_multiple(size, kDepth); s += 2) {
    const float* v[2];
    for (int i = 0; i < 2; i++) v[i] = s + i < size ? row_of(segment.v, start + s + i) : nullptr;
    for (int64_t d = 0; d < D; d += kPanel) {
      const int count = static_cast<int>(smaller(kPanel, D - d));
      const __m256i even = rounded(v[0] ? load_first(v[0] + d, count) : zero(), largest);
      const __m256i odd = rounded(v[1] ? load_first(v[1] + d, count) : zero(), largest);
      uint8_t* to = block.values + (s / kDepth * sizes.column_tiles + d / kPanel) * kTileBytes + s % kDepth / 2 * 64;
      _mm512_store_si512(to, _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16)));
    }
  }
  return are_small(largest);
}

// Adds products of two tiles of rows of `a`, a_tile bytes apart, and one or two tiles of b to tiles 0 … 3. All loads in front, as in amx.h.
template <int columns>
NVILA_INLINE void add_bf16(const uint8_t* a, int64_t a_tile, int64_t stride, const uint8_t* b0, const uint8_t* b1) {
  _tile_loadd(6, b0, 64);
  _tile_loadd(4, a, static_cast<size_t>(stride));
  _tile_loadd(5, a + a_tile, static_cast<size_t>(stride));
  if (columns > 1) _tile_loadd(7, b1, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 5, 6);
  if (columns > 1) {
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// to[32][stride] = the sums, 16 or 32 columns.
template <int columns>
NVILA_INLINE void store_rows(float* to, int64_t stride) {
  const size_t bytes = static_cast<size_t>(stride) * sizeof(float);
  _tile_stored(0, to, bytes);
  _tile_stored(1, to + kAmxRows * stride, bytes);
  if (columns > 1) {
    _tile_stored(2, to + kPanel, bytes);
    _tile_stored(3, to + kAmxRows * stride + kPanel, bytes);
  }
}

// Calls f(first tile, Rows<2 or 1>()) for all tiles.
template <typename F>
NVILA_INLINE void in_twos(int64_t tiles, F&& f) {
  int64_t i = 0;
  for (; i + 2 <= tiles; i += 2) f(i, Rows<2>());
  if (i < tiles) f(i, Rows<1>());
}

// Scores of a row become weights, those of keys that it does not see 0. `keys`: a multiple of 32.
NVILA_INLINE float weigh(const Block& block, const Group& group, int64_t row, int64_t limit, int64_t keys) {
  const F32 lanes = {_mm512_cvtepi32_ps(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))};
  const F32 seen = splat(static_cast<float>(limit)), nothing = splat(-__builtin_inff());
  float* scores = block.scores + row * kKeys;
  F32 most = splat(group.highest[row]);
  for (int64_t s = 0; s < keys; s += F32::width) {
    F32 score = load(scores + s);
    if (s + F32::width > limit) {
      score = where_less(lanes + splat(static_cast<float>(s)), seen, score, nothing);
      store(scores + s, score);
    }
    most = max(score, most);
  }
  const float old = group.highest[row], high = max_lanes(most);
  group.highest[row] = high;
  const F32 base = splat(high == -__builtin_inff() ? 0.0f : high);
  F32 total = zero();
  for (int64_t s = 0; s < keys; s += F32::width) {
    const F32 weight = exp2(load(scores + s) - base);
    total = total + weight;
    _mm256_store_si256(reinterpret_cast<__m256i*>(block.weights + row * kKeys + s), (__m256i)_mm512_cvtneps_pbh(weight.v));
  }
  float correction[F32::width];
  store(correction, exp2(splat(old) - base));
  group.totals[row] = group.totals[row] * correction[0] + sum_lanes(total);
  return correction[0];
}

// A group of rows [first, first + rows) meets a packed block of `size` keys from `start` on.
inline void attend(const Group& group, const Block& block, const Sizes& sizes, const Segment& segment, int64_t first, int64_t rows, int64_t start,
                   int64_t size) {
  const auto limit = [&](int64_t row) { return smaller(size, larger(0, segment.seen(first + row) - start)); };
  const int64_t some = limit(rows - 1);  // no row sees more
  if (some == 0) return;
  const int64_t line_bytes = sizes.line() * 2;
  in_twos(ceil_div(some, kPanel), [&](int64_t tile, auto count) {
    constexpr int n = decltype(count)::count;
    zero_sums<2, n>();
    const uint8_t* queries = reinterpret_cast<const uint8_t*>(group.queries);
    const uint8_t* keys = block.keys + tile * sizes.depth_tiles * kTileBytes;
    for (int64_t depth = 0; depth < sizes.depth_tiles; depth++, keys += kTileBytes) {
      add_bf16<n>(queries + depth * kDepth * 2, kAmxRows * line_bytes, line_bytes, keys, keys + sizes.depth_tiles * kTileBytes);
    }
    store_rows<n>(block.scores + tile * kPanel, kKeys);
  });
  const int64_t key_tiles = ceil_div(some, kDepth);
  float corrections[kRows] = {};
  for (int64_t r = 0; r < rows; r++) corrections[r] = weigh(block, group, r, limit(r), key_tiles * kDepth);
  in_twos(sizes.column_tiles, [&](int64_t column, auto count) {
    constexpr int n = decltype(count)::count;
    zero_sums<2, n>();
    const uint8_t* weights = reinterpret_cast<const uint8_t*>(block.weights);
    const uint8_t* values = block.values + column * kTileBytes;
    for (int64_t tile = 0; tile < key_tiles; tile++, values += sizes.column_tiles * kTileBytes) {
      add_bf16<n>(weights + tile * kDepth * 2, kAmxRows * kKeys * 2, kKeys * 2, values, values + kTileBytes);
    }
    store_rows<n>(block.added + column * kPanel, sizes.columns());
  });
  for (int64_t r = 0; r < rows; r++) {
    float* sums = group.sums + r * sizes.columns();
    const F32 correction = splat(corrections[r]);
    for (int64_t d = 0; d < sizes.columns(); d += F32::width) {
      store(sums + d, fma(load(sums + d), correction, load(block.added + r * sizes.columns() + d)));
    }
  }
}

NVILA_INLINE void finish(const Group& group, const Sizes& sizes, const Segment& segment, int64_t head, int64_t first, int64_t rows) {
  for (int64_t r = 0; r < rows; r++) {
    float* out = segment.out + segment.offset(head, first + r);
    const F32 total = splat(group.totals[r]);
    const bool sees = segment.seen(first + r) > 0;
    for (int64_t d = 0; d < sizes.D; d += F32::width) {
      const F32 value = load(group.sums + r * sizes.columns() + d) / total;
      store_first(out + d, sees ? value : zero(), static_cast<int>(smaller(F32::width, sizes.D - d)));
    }
  }
}

// Rows [first, first + rows) of a key head, over all its keys. memory: block_bytes, then group_bytes for every group of 32 rows.
// False: some number is too large; out holds nothing of use.
inline bool attend_rows(const Segment& segment, int64_t head, int64_t first, int64_t rows, uint8_t* memory) {
  const Sizes sizes(segment.D);
  const Block block(sizes, memory);
  const Tiles tiles(kTileInputs);
  const int64_t groups = ceil_div(rows, kRows);
  const auto group = [&](int64_t i) { return Group(sizes, memory + sizes.block_bytes() + i * sizes.group_bytes()); };
  const auto rows_of = [&](int64_t i) { return smaller(kRows, rows - i * kRows); };
  for (int64_t i = 0; i < groups; i++) {
    if (!pack_queries(group(i), sizes, segment, head, first + i * kRows, rows_of(i))) return false;
  }
  const int64_t seen = segment.seen(first + rows - 1);
  for (int64_t start = 0; start < seen; start += kKeys) {
    const int64_t size = smaller(kKeys, seen - start);
    if (!pack_block(block, sizes, segment, head, start, size)) return false;
    for (int64_t i = 0; i < groups; i++) attend(group(i), block, sizes, segment, first + i * kRows, rows_of(i), start, size);
  }
  for (int64_t i = 0; i < groups; i++) finish(group(i), sizes, segment, head, first + i * kRows, rows_of(i));
  return true;
}

}  // namespace tiled
}  // namespace NVILA_ISA
}  // namespace nvila
