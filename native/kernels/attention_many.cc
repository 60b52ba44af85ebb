// Attention with many rows per key head, after FlashAttention (Dao et al. 2022): a task takes some groups of rows past all their keys,
// block by block, with a running maximum. Scores exist for one group and one block at a time.
#include "attention_block.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kTaskBytes = int64_t{192} << 10;  // of queries and states: with a block of keys and values they stay in L2

}  // namespace

Status attention_many(ThreadPool& pool, const Segment& segment) {
  const int64_t D = segment.D, rows = segment.rows(), stride = block_stride(D);
  const KeyBlocks blocks(segment.Tk);
  const int64_t groups = ceil_div(rows, kLanes);
  // More groups share a copy of the keys, fewer keep all threads busy to the end.
  const int64_t slot = queries_size(D) + state_size(D);
  const int64_t most = larger(1, kTaskBytes / (slot * static_cast<int64_t>(sizeof(float))));
  const int64_t even = groups * segment.Hkv / (8 * pool.threads());
  const int64_t task_groups = smaller(groups, smaller(most, larger(4, even)));
  const int64_t tasks = ceil_div(groups, task_groups);

  const int64_t floats = 2 * blocks.size * stride + (blocks.size + 1) * kLanes + task_groups * slot;
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, static_cast<size_t>(floats) * sizeof(float))) return Status::kOutOfMemory;
  }
  pool.parallel_for(tasks * segment.Hkv, 1, [&](int64_t index, int64_t, int thread) {
    // The last rows first: causal ones have most to do.
    const int64_t head = index % segment.Hkv, task = tasks - 1 - index / segment.Hkv;
    const int64_t first_group = task * task_groups, last_group = smaller(groups, first_group + task_groups);
    const int64_t last_row = smaller(rows, last_group * kLanes) - 1;
    float* keys = static_cast<float*>(pool.scratch(thread, 0));
    float* values = keys + blocks.size * stride;
    float* limits = values + blocks.size * stride;
    float* weights = limits + kLanes;
    float* slots = weights + blocks.size * kLanes;
    const auto rows_of = [&](int64_t group) { return smaller(kLanes, rows - group * kLanes); };

    for (int64_t group = first_group; group < last_group; group++) {
      float* queries = slots + (group - first_group) * slot;
      pack_queries(queries, segment, head, group * kLanes, rows_of(group));
      clear_state(queries + queries_size(D), D, lanes_for(rows_of(group)));
    }
    const int64_t seen = segment.seen(last_row);
    for (int64_t start = 0; start < seen; start += blocks.size) {
      const int64_t size = smaller(blocks.size, seen - start);
      copy_block(keys, Which::kKeys, segment, head, start, size);
      copy_block(values, Which::kValues, segment, head, start, size);
      Block block = {keys, values, stride, D, 0, 0, limits, weights};
      for (int64_t group = first_group; group < last_group; group++) {
        set_limits(block, limits, segment, group * kLanes, rows_of(group), start, size);
        float* queries = slots + (group - first_group) * slot;
        if (block.some > 0) attend(queries + queries_size(D), queries, block, lanes_for(rows_of(group)));
      }
    }
    for (int64_t group = first_group; group < last_group; group++) {
      finish(segment, slots + (group - first_group) * slot + queries_size(D), head, group * kLanes, rows_of(group));
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
