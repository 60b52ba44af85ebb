// The inner part of attention: a group of up to kLanes rows meets one block of keys. Rows lie in the lanes of vectors, so maximum,
// exponential and sum need no work across lanes, and keys and values are used as they lie, one number at a time for all rows.
// Each row's arithmetic runs over its keys in order and does not depend on the rows beside it.
#pragma once

#include "attention.h"
#include "exp2.h"
#include "row_count.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int kLaneVectors = F32::width == 1 ? 4 : 2;    // of a full group
constexpr int kLanes = kLaneVectors * F32::width;        // rows of a full group
constexpr int kTileRows = F32::width == 1 ? 4 : F32::width == 8 ? 6 : 12;  // keys, or values' columns, of a register tile
constexpr int64_t kKeys = 128;                           // of a block, at most
constexpr float kInfinity = __builtin_inff();

// Floats of a group's queries [D][lanes], already scaled, and of its state [D + 2][lanes]: sums of weighted values, then the sum of
// weights, then the largest score. A group with at most F32::width rows has F32::width lanes, else kLanes.
inline int64_t queries_size(int64_t D) { return D * kLanes; }
inline int64_t state_size(int64_t D) { return (D + 2) * kLanes; }
NVILA_INLINE int lanes_for(int64_t rows) { return rows <= F32::width ? F32::width : kLanes; }

// Row stride of a copied block: an odd number of cache lines, so that a column of it spreads over all sets of the cache.
NVILA_INLINE int64_t block_stride(int64_t D) { return (ceil_div(D, 16) | 1) * 16; }

// The keys of a segment in blocks of equal size. Depends on Tk alone.
struct KeyBlocks {
  int64_t count, size;
  explicit KeyBlocks(int64_t Tk) : count(ceil_div(Tk, kKeys)), size(count ? ceil_div(Tk, count) : 0) {}
};

// scores[R][lanes] = keys[R][D] · queries[D][lanes]
template <int R, int V>
NVILA_INLINE void score_tile(float* scores, const float* queries, const float* keys, int64_t stride, int64_t D) {
  constexpr int L = V * F32::width;
  F32 acc[R][V];
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) acc[r][i] = zero();
  }
#pragma GCC unroll 2
  for (int64_t d = 0; d < D; d++) {
    F32 query[V];
    for (int i = 0; i < V; i++) query[i] = load(queries + d * L + i * F32::width);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      const F32 key = splat(keys[r * stride + d]);
      for (int i = 0; i < V; i++) acc[r][i] = fma(key, query[i], acc[r][i]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) store(scores + r * L + i * F32::width, acc[r][i]);
  }
}

// sums[R][lanes] = sums · correction[lanes] + values[keys][R]ᵀ · weights[keys][lanes]
template <int R, int V>
NVILA_INLINE void value_tile(float* sums, const F32 (&correction)[V], const float* weights, const float* values, int64_t stride,
                             int64_t keys) {
  constexpr int L = V * F32::width;
  F32 acc[R][V];
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) acc[r][i] = load(sums + r * L + i * F32::width) * correction[i];
  }
#pragma GCC unroll 2
  for (int64_t s = 0; s < keys; s++) {
    F32 weight[V];
    for (int i = 0; i < V; i++) weight[i] = load(weights + s * L + i * F32::width);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      const F32 value = splat(values[s * stride + r]);
      for (int i = 0; i < V; i++) acc[r][i] = fma(value, weight[i], acc[r][i]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) store(sums + r * L + i * F32::width, acc[r][i]);
  }
}

// A block of keys and values for one group.
struct Block {
  const float* keys;    // [some][stride]
  const float* values;  // [some][stride]
  int64_t stride;
  int64_t D;
  int64_t all, some;    // every row sees keys [0, all), a row with limit n sees [0, n), no row sees more than [0, some)
  const float* limits;  // [lanes], between all and some
  float* weights;       // [kKeys][lanes] of working memory
};

// Adds a block to a group's state.
template <int V>
void attend_lanes(float* state, const float* queries, const Block& block) {
  constexpr int L = V * F32::width;
  const int64_t D = block.D;
  float* weights = block.weights;
  in_pieces<kTileRows>(block.some, [&](int64_t s, auto rows) {
    score_tile<decltype(rows)::count, V>(weights + s * L, queries, block.keys + s * block.stride, block.stride, D);
  });

  F32 limit[V], old_max[V], new_max[V], correction[V], total[V];
  for (int i = 0; i < V; i++) limit[i] = load(block.limits + i * F32::width);
  for (int64_t s = block.all; s < block.some; s++) {
    for (int i = 0; i < V; i++) {
      float* score = weights + s * L + i * F32::width;
      store(score, where_less(splat(static_cast<float>(s)), limit[i], load(score), splat(-kInfinity)));
    }
  }
  for (int i = 0; i < V; i++) new_max[i] = old_max[i] = load(state + (D + 1) * L + i * F32::width);
  for (int64_t s = 0; s < block.some; s++) {
    for (int i = 0; i < V; i++) new_max[i] = max(load(weights + s * L + i * F32::width), new_max[i]);
  }
  for (int i = 0; i < V; i++) {
    store(state + (D + 1) * L + i * F32::width, new_max[i]);
    // While all scores are −∞: 0, so that their weights are 0 and not NaN.
    new_max[i] = where_less(splat(-kInfinity), new_max[i], new_max[i], zero());
    correction[i] = exp2(old_max[i] - new_max[i]);
    total[i] = load(state + D * L + i * F32::width) * correction[i];
  }
#pragma GCC unroll 2
  for (int64_t s = 0; s < block.some; s++) {
    for (int i = 0; i < V; i++) {
      float* weight = weights + s * L + i * F32::width;
      const F32 w = exp2(load(weight) - new_max[i]);
      store(weight, w);
      total[i] = total[i] + w;
    }
  }
  for (int i = 0; i < V; i++) store(state + D * L + i * F32::width, total[i]);

  in_pieces<kTileRows>(D, [&](int64_t d, auto rows) {
    value_tile<decltype(rows)::count, V>(state + d * L, correction, weights, block.values + d, block.stride, block.all);
  });
  // Keys that only some rows see: the others must not even meet 0 · value, which is NaN when the value is infinite.
  for (int64_t s = block.all; s < block.some; s++) {
    const F32 index = splat(static_cast<float>(s));
    for (int64_t d = 0; d < D; d++) {
      const F32 value = splat(block.values[s * block.stride + d]);
      for (int i = 0; i < V; i++) {
        float* sum = state + d * L + i * F32::width;
        const F32 old = load(sum);
        store(sum, where_less(index, limit[i], fma(value, load(weights + s * L + i * F32::width), old), old));
      }
    }
  }
}

NVILA_INLINE void attend(float* state, const float* queries, const Block& block, int lanes) {
  if (lanes == kLanes) attend_lanes<kLaneVectors>(state, queries, block);
  else attend_lanes<1>(state, queries, block);
}

// queries[D][lanes] of rows [first, first + rows) of a key head, scaled; lanes without a row are 0.
void pack_queries(float* queries, const Segment& segment, int64_t head, int64_t first, int64_t rows);
// A state that has seen no key.
void clear_state(float* state, int64_t D, int lanes);
// Copies `rows` rows of one key head of k or v, beginning with key `first`.
enum class Which { kKeys, kValues };
void copy_block(float* block, Which which, const Segment& segment, int64_t head, int64_t first, int64_t rows);
// Fills limits[lanes], all and some of a block that begins at key `start` and has `size` keys.
void set_limits(Block& block, float* limits, const Segment& segment, int64_t first, int64_t rows, int64_t start, int64_t size);
// Writes sums / total to the rows of out.
void finish(const Segment& segment, const float* state, int64_t head, int64_t first, int64_t rows);

}  // namespace NVILA_ISA
}  // namespace nvila
