// Attention with few rows per key head (decoding): bound by reading keys and values, which are read once, straight from where they
// lie. Every block of keys of every segment is a task of its own, so that all threads read; it leaves a state per row, and the states of
// a row are merged in the order of the blocks. Each row's arithmetic does not depend on the rows and segments beside it.
//
// Versions, on Zen 3 (AVX2, 2 threads), 12 heads of 128, 2 key heads, T = 1, S = 4096, 28 caches in turn (235 MB); % of the read bandwidth
// of the same run:
//   4  a task per head, each row of the other head's keys and values fetched a block ahead   43 %
//   5  a task for all heads, the next 8 keys fetched in the order of memory                  73–90 %  ← this
//   6  5 with 16 or 24 keys                        the same; with 28 heads and 4 key heads 53 % for the 63 % of 5
// The best single call of many, one cache of 8 MB at a time, of the ways to compute that came before:
//   1  as attention_many, keys and values copied first      34 %  reading and computing take turns
//   2  rows in lanes, but keys and values used in place     62 %  12 streams of broadcasts want too many pointers
//   3  vectors along D, scores stored per row               71 %
//   4  scores stored per key, no softmax across lanes       76 %  what 5 computes, too
#include "attention.h"
#include "exp2.h"
#include "int8_heads.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kKeys = 128;      // of a block, at most
constexpr int64_t kLeastKeys = 32;  // of a block, unless all are fewer
constexpr int64_t kBlocks = 16;     // that a segment is cut into if these bounds allow
constexpr int64_t kSlabKeys = 8;    // of all heads: in use, while the next slab in the order of memory is fetched
static_assert(kSlabKeys == kBlockUnit && kKeys % kSlabKeys == 0, "a slab lies in one block of a pool");
constexpr int kMostRows = 6;        // at a time
constexpr int kLaneUnit = 8;        // columns of weights are a multiple of this
constexpr float kInfinity = __builtin_inff();

// Keys, or vectors of values, at a time beside R rows: R times as many sums hide the latency of fma and fit into 16 registers.
constexpr int width_for(int R) { return R == 1 ? 8 : R <= 3 ? 4 : 2; }

// One block of keys for all rows of one key head.
struct Task {
  const Segment* segment;
  int64_t stride, start, size, rows, lanes;
  const float* queries;  // [⌈D / width⌉][rows][width], scaled, padded with 0
  float* weights;        // [kKeys][lanes]: scores, then 2^(score − largest)
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
void weigh(const Task& task, int64_t row, int64_t keys) {
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

// Calls f(first row, Rows<R>()) for R rows at a time; the pieces differ by at most one row.
template <int R>
struct Rows {
  static constexpr int count = R;
};
template <typename F>
NVILA_INLINE void in_groups(int64_t rows, F&& f) {
  const int64_t groups = ceil_div(rows, kMostRows);
  for (int64_t i = 0; i < groups; i++) {
    const int64_t first = i * rows / groups;
    switch ((i + 1) * rows / groups - first) {
      case 1: f(first, Rows<1>()); break;
      case 2: f(first, Rows<2>()); break;
      case 3: f(first, Rows<3>()); break;
      case 4: f(first, Rows<4>()); break;
      case 5: f(first, Rows<5>()); break;
      default: f(first, Rows<6>());
    }
  }
}

// Keys or values of a segment, slab by slab: a slab lies in one piece.
struct Slabs {
  const Segment* segment;
  const float* numbers;
  int64_t stride, start;

  // The slab from key `s` of the block on; what follows it may be fetched as `ahead` says.
  const float* at(int64_t s, int64_t) const { return numbers + segment->place(start + s) * stride; }
  const float* ahead(int64_t s) const { return at(s, 0); }
};

// The same of codes, which become numbers of a working buffer. The next slab of codes is short enough to be fetched by the processor.
struct Int8Slabs {
  const Segment* segment;
  const int8_t* codes;
  const float* scales;
  float* widened;  // [kSlabKeys][Hkv][D]
  int64_t start;

  const float* at(int64_t s, int64_t count) const {
    const int64_t place = segment->place(start + s), heads = segment->Hkv;
    for (int64_t i = 0; i < count * heads; i++) {
      const int64_t head = place * heads + i;
      widen_head(widened + i * segment->D, codes + head * segment->D, scales[head], segment->D);
    }
    return widened;
  }
  const float* ahead(int64_t) const { return nullptr; }
};

// The block `tasks` of all key heads. `next` is what will be read after it, or null.
template <typename From>
void attend(const Task* tasks, const From& key_slabs, const From& value_slabs, const float* next) {
  const Segment& segment = *tasks[0].segment;
  const int64_t D = segment.D, Hkv = segment.Hkv, rows = tasks[0].rows, stride = tasks[0].stride, keys = tasks[0].seen(rows - 1);
  const auto ahead_of = [&](const float* slab, int64_t head, int64_t row) { return slab && row == 0 ? slab + head * kSlabKeys * D : nullptr; };
  for (int64_t s = 0; s < keys; s += kSlabKeys) {
    const float* here = key_slabs.at(s, smaller(kSlabKeys, keys - s));
    const float* ahead = s + kSlabKeys < keys ? key_slabs.ahead(s + kSlabKeys) : value_slabs.ahead(0);
    for (int64_t head = 0; head < Hkv; head++) {
      in_groups(rows, [&](int64_t row, auto group) {
        add_scores<decltype(group)::count>(tasks[head], row, s, smaller(kSlabKeys, keys - s), here + head * D,
                                           ahead_of(ahead, head, row));
      });
    }
  }
  for (int64_t head = 0; head < Hkv; head++) {
    for (int64_t row = 0; row < rows; row += F32::width) weigh(tasks[head], row, keys);
    for (int64_t i = 0; i < rows * D; i++) tasks[head].sums[i] = 0.0f;
  }
  for (int64_t s = 0; s < keys; s += kSlabKeys) {
    const float* here = value_slabs.at(s, smaller(kSlabKeys, keys - s));
    const float* ahead = s + kSlabKeys < keys ? value_slabs.ahead(s + kSlabKeys) : next;
    for (int64_t head = 0; head < Hkv; head++) {
      const Task& task = tasks[head];
      in_groups(rows, [&](int64_t row, auto group) {
        constexpr int R = decltype(group)::count;
        const int64_t all = larger(0, smaller(kSlabKeys, task.seen(row) - s));
        if (all > 0) add_values<R>(task, row, s, all, here + head * D, ahead_of(ahead, head, row));
        // Keys that not all of these rows see: the others must not even meet 0 · value, which is NaN when the value is infinite.
        for (int64_t r = row + 1; r < row + R; r++) {
          const int64_t more = smaller(kSlabKeys, task.seen(r) - s) - all;
          if (more > 0) add_values<1>(task, r, s + all, more, here + all * stride + head * D, nullptr);
        }
      });
    }
  }
}

// out[D] of one row from its sums and totals in `count` blocks that lie `step` floats apart. All zeros if it sees no key.
void merge(float* out, const float* sums, const float* totals, int64_t lanes, int64_t count, int64_t step, int64_t D, bool sees) {
  float highest = -kInfinity, total = 0;
  for (int64_t b = 0; b < count; b++) {
    const float high = totals[b * step + lanes];
    if (high > highest) highest = high;
  }
  if (highest == -kInfinity) highest = 0.0f;
  for (int64_t d = 0; d < D; d++) out[d] = 0.0f;
  for (int64_t b = 0; b < count; b++) {
    float factor[F32::width];
    store(factor, exp2(splat(totals[b * step + lanes] - highest)));
    const F32 by = load(factor);
    const float* sum = sums + b * step;
    int64_t d = 0;
    for (; d + F32::width <= D; d += F32::width) store(out + d, fma(load(sum + d), by, load(out + d)));
    if (d < D) {
      const int rest = static_cast<int>(D - d);
      store_first(out + d, fma(load_first(sum + d, rest), by, load_first(out + d, rest)), rest);
    }
    total += totals[b * step] * factor[0];
  }
  for (int64_t d = 0; sees && d < D; d++) out[d] = out[d] / total;
}

// A segment's share of a call.
struct Part {
  const Segment* segment;
  int64_t rows, lanes;             // of each key head
  int64_t blocks, block_keys;      // of equal size, by Tk alone
  int64_t query_floats;            // of each key head
  int64_t state_floats;            // of each block and key head: sums [rows][D], totals and largest scores [2][lanes]
  int64_t first_block, first_row;  // among all blocks and all (key head, row) pairs of the call
  float* queries;
  float* states;

  int64_t floats() const { return segment->Hkv * (query_floats + blocks * state_floats); }
};

Part part_of(const Segment& segment) {
  const int64_t D = segment.D, rows = segment.rows();
  Part part = {};
  part.segment = &segment;
  part.rows = rows;
  part.lanes = ceil_div(rows + 3, kLaneUnit) * kLaneUnit;  // + 3: scores are stored in fours
  const int64_t wanted = smaller(kKeys, larger(kLeastKeys, ceil_div(segment.Tk, kBlocks)));
  const int64_t unit = segment.table ? kSlabKeys : 1;
  part.blocks = ceil_div(segment.Tk, wanted);
  part.block_keys = part.blocks ? ceil_div(ceil_div(segment.Tk, part.blocks), unit) * unit : 0;
  part.blocks = part.blocks ? ceil_div(segment.Tk, part.block_keys) : 0;
  part.query_floats = rows * ceil_div(D, F32::width) * F32::width;
  part.state_floats = rows * D + 2 * part.lanes;
  return part;
}

// The part that `index` falls into, counted by `first`.
const Part* find_part(const Part* parts, int64_t count, int64_t Part::*first, int64_t index) {
  int64_t low = 0, high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (parts[middle].*first <= index) low = middle;
    else high = middle;
  }
  return parts + low;
}

// Scaled queries of one (key head, row) pair, in the order of Task::queries.
void pack_row(const Part& part, int64_t head, int64_t row) {
  const Segment& segment = *part.segment;
  const F32 scale = splat(segment.scale), rest = splat(segment.scale_rest);
  const float* from = segment.q + segment.offset(head, row);
  float* to = part.queries + head * part.query_floats + row * F32::width;
  for (int64_t d = 0; d < segment.D; d += F32::width, to += part.rows * F32::width) {
    const F32 q = load_first(from + d, static_cast<int>(smaller(F32::width, segment.D - d)));
    store(to, fma(q, scale, q * rest));
  }
}

}  // namespace

Status attention_few(ThreadPool& pool, const Segment* segments, int64_t count) {
  const int64_t D = segments[0].D, Hkv = segments[0].Hkv;
  int64_t floats = 0, most_lanes = 0, blocks = 0, rows = 0;
  for (int64_t i = 0; i < count; i++) {
    const Part part = part_of(segments[i]);
    floats += part.floats();
    most_lanes = larger(most_lanes, part.lanes);
    blocks += part.blocks;
    rows += Hkv * part.rows;
  }
  const int64_t parts_bytes = ceil_div(count * static_cast<int64_t>(sizeof(Part)), 64) * 64;
  Part* parts = static_cast<Part*>(
      pool.shared_scratch(static_cast<size_t>(parts_bytes) + static_cast<size_t>(floats) * sizeof(float), ThreadPool::Shared::kLinear));
  if (!parts) return Status::kOutOfMemory;
  float* place = reinterpret_cast<float*>(reinterpret_cast<char*>(parts) + parts_bytes);
  for (int64_t i = 0, block = 0, row = 0; i < count; i++) {
    Part& part = parts[i];
    part = part_of(segments[i]);
    part.first_block = block;
    part.first_row = row;
    part.queries = place;
    part.states = place + Hkv * part.query_floats;
    block += part.blocks;
    row += Hkv * part.rows;
    place += part.floats();
  }
  const size_t tasks_bytes = static_cast<size_t>(ceil_div(Hkv * static_cast<int64_t>(sizeof(Task)), 64) * 64);
  const int64_t widened_floats = segments[0].k_codes ? kSlabKeys * Hkv * D : 0;
  const size_t thread_bytes = tasks_bytes + static_cast<size_t>(Hkv * kKeys * most_lanes + widened_floats) * sizeof(float);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, thread_bytes)) return Status::kOutOfMemory;
  }
  const auto for_rows = [&](int64_t grain, auto&& f) {
    pool.parallel_for(rows, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        const Part& part = *find_part(parts, count, &Part::first_row, i);
        f(part, (i - part.first_row) / part.rows, (i - part.first_row) % part.rows);
      }
    });
  };

  for_rows(64, pack_row);
  // How many blocks a thread takes at once changes no result: each leaves states of its own.
  const int64_t grain = larger(1, blocks / (4 * pool.threads()));
  pool.parallel_for(blocks, grain, [&](int64_t begin, int64_t end, int thread) {
    Task* tasks = static_cast<Task*>(pool.scratch(thread, 0));
    float* weights = reinterpret_cast<float*>(static_cast<char*>(pool.scratch(thread, 0)) + tasks_bytes);
    for (int64_t index = begin; index < end; index++) {
      const Part& part = *find_part(parts, count, &Part::first_block, index);
      const Segment& segment = *part.segment;
      const int64_t block = index - part.first_block;
      const int64_t start = block * part.block_keys, size = smaller(part.block_keys, segment.Tk - start);
      for (int64_t head = 0; head < Hkv; head++) {
        float* sums = part.states + (block * Hkv + head) * part.state_floats;
        tasks[head] = {&segment, Hkv * D, start, size, part.rows, part.lanes, part.queries + head * part.query_floats,
                       weights + head * kKeys * most_lanes, sums, sums + part.rows * D};
      }
      const int64_t stride = Hkv * D;
      if (segment.k_codes) {
        float* widened = weights + Hkv * kKeys * most_lanes;
        attend<Int8Slabs>(tasks, {&segment, segment.k_codes, segment.k_scales, widened, start},
                          {&segment, segment.v_codes, segment.v_scales, widened, start}, nullptr);
        continue;
      }
      // What this thread reads after this block, if the threads keep their order.
      const int64_t next = index + 1 < end ? index + 1 : end + (pool.threads() - 1) * grain;
      const float* ahead = nullptr;
      if (next < blocks) {
        const Part& other = *find_part(parts, count, &Part::first_block, next);
        ahead = other.segment->k + other.segment->place((next - other.first_block) * other.block_keys) * stride;
      }
      attend<Slabs>(tasks, {&segment, segment.k, stride, start}, {&segment, segment.v, stride, start}, ahead);
    }
  });
  for_rows(4, [&](const Part& part, int64_t head, int64_t row) {
    const Segment& segment = *part.segment;
    const float* first = part.states + head * part.state_floats;
    merge(segment.out + segment.offset(head, row), first + row * D, first + part.rows * D + row, part.lanes, part.blocks,
          Hkv * part.state_floats, D, segment.seen(row) > 0);
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
