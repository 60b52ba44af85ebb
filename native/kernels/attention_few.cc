// Attention with few rows per key head (decoding): every block of keys is a task of its own, so all threads read, and leaves a state per
// group of rows; then the states of a group are merged in the order of the blocks.
#include "attention_block.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Adds up the states of `count` blocks that lie `step` floats apart, into the first.
void merge(float* states, int64_t count, int64_t step, int64_t D, int lanes) {
  for (int base = 0; base < lanes; base += F32::width) {
    float* lane = states + base;
    F32 highest = load(lane + (D + 1) * lanes);
    for (int64_t b = 1; b < count; b++) highest = max(load(lane + b * step + (D + 1) * lanes), highest);
    highest = where_less(splat(-kInfinity), highest, highest, zero());
    for (int64_t b = 0; b < count; b++) {
      const float* state = lane + b * step;
      const F32 factor = exp2(load(state + (D + 1) * lanes) - highest);
      for (int64_t d = 0; d <= D; d++) {  // D sums and the sum of weights
        const F32 part = load(state + d * lanes) * factor;
        store(lane + d * lanes, b == 0 ? part : load(lane + d * lanes) + part);
      }
    }
  }
}

}  // namespace

Status attention_few(ThreadPool& pool, const Segment& segment) {
  const int64_t D = segment.D, rows = segment.rows(), Hkv = segment.Hkv, stride = block_stride(D);
  const KeyBlocks blocks(segment.Tk);
  const int64_t groups = ceil_div(rows, kLanes);
  const auto rows_of = [&](int64_t group) { return smaller(kLanes, rows - group * kLanes); };
  const int64_t all_groups = Hkv * groups;

  const int64_t shared = all_groups * (queries_size(D) + larger(1, blocks.count) * state_size(D));
  float* queries = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(shared) * sizeof(float), ThreadPool::Shared::kLinear));
  if (!queries) return Status::kOutOfMemory;
  float* states = queries + all_groups * queries_size(D);
  const int64_t floats = 2 * blocks.size * stride + (blocks.size + 1) * kLanes;
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, static_cast<size_t>(floats) * sizeof(float))) return Status::kOutOfMemory;
  }
  for (int64_t i = 0; i < all_groups; i++) {
    const int64_t group = i % groups;
    pack_queries(queries + i * queries_size(D), segment, i / groups, group * kLanes, rows_of(group));
  }
  pool.parallel_for(blocks.count * Hkv, 1, [&](int64_t index, int64_t, int thread) {
    const int64_t head = index % Hkv, start = index / Hkv * blocks.size;
    const int64_t size = smaller(blocks.size, segment.Tk - start);
    float* keys = static_cast<float*>(pool.scratch(thread, 0));
    float* values = keys + blocks.size * stride;
    float* limits = values + blocks.size * stride;
    copy_block(keys, segment.k, segment, head, start, size);
    copy_block(values, segment.v, segment, head, start, size);
    Block block = {keys, values, stride, D, 0, 0, limits, limits + kLanes};
    for (int64_t group = 0; group < groups; group++) {
      const int64_t i = head * groups + group;
      float* state = states + (index / Hkv * all_groups + i) * state_size(D);
      clear_state(state, D, lanes_for(rows_of(group)));
      set_limits(block, limits, segment, group * kLanes, rows_of(group), start, size);
      if (block.some > 0) attend(state, queries + i * queries_size(D), block, lanes_for(rows_of(group)));
    }
  });
  pool.parallel_for(all_groups, 1, [&](int64_t i, int64_t, int) {
    const int64_t group = i % groups;
    float* state = states + i * state_size(D);
    if (blocks.count > 1) merge(state, blocks.count, all_groups * state_size(D), D, lanes_for(rows_of(group)));
    finish(segment, state, i / groups, group * kLanes, rows_of(group));
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
