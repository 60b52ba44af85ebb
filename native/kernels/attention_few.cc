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
#include "attention_few_block.h"
#include "exp2.h"
#include "int8_heads.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

using namespace few_rows;

constexpr int64_t kKeys = 128;      // of a block, at most
constexpr int64_t kLeastKeys = 32;  // of a block, unless all are fewer
constexpr int64_t kBlocks = 16;     // that a segment is cut into if these bounds allow
constexpr int64_t kSlabKeys = 8;    // of all heads: in use, while the next slab in the order of memory is fetched
static_assert(kSlabKeys == kBlockUnit && kKeys % kSlabKeys == 0, "a slab lies in one block of a pool");

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
      in_pieces<kMostRows>(rows, [&](int64_t row, auto group) {
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
      in_pieces<kMostRows>(rows, [&](int64_t row, auto group) {
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
