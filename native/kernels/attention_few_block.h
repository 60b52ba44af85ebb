// The inner part of attention with few rows: all rows of a key head meet one block of its keys, then of its values. Keys and values are
// used where they lie; what is read next may be fetched on the way. Each row's arithmetic does not depend on the rows beside it.
#pragma once

#include "attention.h"
#include "exp2.h"
#include "row_count.h"

namespace nvila {
namespace NVILA_ISA {
namespace few_rows {

constexpr int kMostRows = 6;  // at a time
constexpr int kLaneUnit = F32::width > 8 ? F32::width : 8;  // columns of weights are a multiple of this
constexpr float kInfinity = __builtin_inff();

// Keys, or vectors of values, at a time beside R rows: R times as many sums hide the latency of fma and fit into 16 registers.
constexpr int width_for(int R) { return R == 1 ? 8 : R <= 3 ? 4 : 2; }

// One block of keys for all rows of one key head.
struct Task {
  const Segment* segment;
  int64_t stride, start, size, rows, lanes;
  const float* queries;  // [⌈D / width⌉][rows][width], scaled, padded with 0
  float* weights;        // [keys][lanes]: scores, then 2^(score − largest)
  float* sums;           // [rows][D] of weighted values
  float* totals;         // [lanes] of weights, then [lanes]: largest scores

  // Keys of the block that a row sees.
  int64_t seen(int64_t row) const { return smaller(size, larger(0, segment->seen(row) - start)); }
};

// weights[K][lanes], R columns of them = keys[K] · queries[R]ᵀ; up to 3 columns behind them are overwritten. ahead, if not null, is
// K · D floats that are fetched on the way.
template <int R, int K>
NVILA_INLINE void score_tile(float* weights, const Task& task, const float* queries, const float* keys, const float* ahead) {
  const int64_t D = task.segment->D, stride = task.stride, query_step = task.rows * F32::width;
  constexpr int R4 = (R + 3) / 4 * 4;
  F32 acc[K][R4];
  for (int k = 0; k < K; k++) {
    for (int r = 0; r < R4; r++) acc[k][r] = zero();
  }
  int64_t d = 0;
  while (d + F32::width <= D) {
    if (ahead) {
#pragma GCC unroll 8
      for (int k = 0; k < K; k++) __builtin_prefetch(ahead + K * d + k * 16, 0, 2);
    }
    // One cache line.
    for (const int64_t end = smaller(d + 16, D - F32::width + 1); d < end; d += F32::width, queries += query_step) {
      F32 key[K];
#pragma GCC unroll 8
      for (int k = 0; k < K; k++) key[k] = load(keys + k * stride + d);
#pragma GCC unroll 6
      for (int r = 0; r < R; r++) {
        const F32 query = load(queries + r * F32::width);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) acc[k][r] = fma(query, key[k], acc[k][r]);
      }
    }
  }
  if (d < D) {
    for (int k = 0; k < K; k++) {
      const F32 key = load_first(keys + k * stride + d, static_cast<int>(D - d));
      for (int r = 0; r < R; r++) acc[k][r] = fma(load(queries + r * F32::width), key, acc[k][r]);
    }
  }
  for (int k = 0; k < K; k++) {
    for (int r = 0; r < R; r += 4) store_sums(weights + k * task.lanes + r, acc[k][r], acc[k][r + 1], acc[k][r + 2], acc[k][r + 3]);
  }
}

// Scores of `count` keys of the head from number `first` of the block on; they lie at `keys`, `stride` apart.
template <int R>
void add_scores(const Task& task, int64_t row, int64_t first, int64_t count, const float* keys, const float* ahead) {
  constexpr int K = width_for(R);
  const float* queries = task.queries + row * F32::width;
  float* weights = task.weights + first * task.lanes + row;
  int64_t s = 0;
  for (; s + K <= count; s += K) {
    score_tile<R, K>(weights + s * task.lanes, task, queries, keys + s * task.stride, ahead ? ahead + s * task.segment->D : nullptr);
  }
  for (; s < count; s++) score_tile<R, 1>(weights + s * task.lanes, task, queries, keys + s * task.stride, nullptr);
}

// Scores of F32::width rows become weights.
inline void weigh(const Task& task, int64_t row, int64_t keys) {
  const int64_t lanes = task.lanes;
  float limits[F32::width];
  for (int64_t r = 0; r < F32::width; r++) limits[r] = static_cast<float>(task.seen(smaller(row + r, task.rows - 1)));
  const F32 limit = load(limits);
  F32 high = splat(-kInfinity);
  for (int64_t s = 0; s < keys; s++) {
    float* score = task.weights + s * lanes + row;
    const F32 x = where_less(splat(static_cast<float>(s)), limit, load(score), splat(-kInfinity));
    store(score, x);
    high = max(x, high);
  }
  // While all scores are −∞: 0, so that their weights are 0 and not NaN.
  const F32 base = where_less(splat(-kInfinity), high, high, zero());
  F32 total = zero();
  for (int64_t s = 0; s < keys; s++) {
    float* weight = task.weights + s * lanes + row;
    const F32 w = exp2(load(weight) - base);
    store(weight, w);
    total = total + w;
  }
  store(task.totals + row, total);
  store(task.totals + lanes + row, high);
}

// sums[R][D], V vectors of columns, += weights[keys][R]ᵀ · values[keys]. Only the first `count` lanes if count is not 0. ahead, if not
// null, is keys · V vectors that are fetched on the way.
template <int R, int V>
NVILA_INLINE void value_tile(float* sums, const Task& task, const float* weights, const float* values, const float* ahead, int64_t keys,
                             int count) {
  const int64_t D = task.segment->D, stride = task.stride, lanes = task.lanes;
  F32 acc[R][V];
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) acc[r][i] = count ? load_first(sums + r * D + i * F32::width, count) : load(sums + r * D + i * F32::width);
  }
  for (int64_t s = 0; s < keys; s++) {
    if (ahead) {
      for (int i = 0; i < V; i += 16 / F32::width) __builtin_prefetch(ahead + (s * V + i) * F32::width, 0, 2);
    }
    F32 value[V];
#pragma GCC unroll 8
    for (int i = 0; i < V; i++) {
      const float* from = values + s * stride + i * F32::width;
      value[i] = count ? load_first(from, count) : load(from);
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const F32 weight = splat(weights[s * lanes + r]);
#pragma GCC unroll 8
      for (int i = 0; i < V; i++) acc[r][i] = fma(weight, value[i], acc[r][i]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int i = 0; i < V; i++) {
      if (count) store_first(sums + r * D + i * F32::width, acc[r][i], count);
      else store(sums + r * D + i * F32::width, acc[r][i]);
    }
  }
}

// Adds `keys` values of the head from number `first` of the block on.
template <int R>
void add_values(const Task& task, int64_t row, int64_t first, int64_t keys, const float* values, const float* ahead) {
  constexpr int V = width_for(R);
  const int64_t D = task.segment->D;
  float* sums = task.sums + row * D;
  const float* weights = task.weights + first * task.lanes + row;
  int64_t d = 0;
  for (; d + V * F32::width <= D; d += V * F32::width) {
    value_tile<R, V>(sums + d, task, weights, values + d, ahead ? ahead + d * keys : nullptr, keys, 0);
  }
  for (; d + F32::width <= D; d += F32::width) value_tile<R, 1>(sums + d, task, weights, values + d, nullptr, keys, 0);
  if (d < D) value_tile<R, 1>(sums + d, task, weights, values + d, nullptr, keys, static_cast<int>(D - d));
}

}  // namespace few_rows
}  // namespace NVILA_ISA
}  // namespace nvila
