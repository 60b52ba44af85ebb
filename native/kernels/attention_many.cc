// Attention with many rows per key head, after FlashAttention (Dao et al. 2022): a task takes some groups of rows past all their keys,
// block by block, with a running maximum. Scores exist for one group and one block at a time.
#include "attention_block.h"
#if defined(NVILA_ISA_AMX)
#include "attention_amx.h"
#endif

namespace nvila {
namespace NVILA_ISA {

namespace {

#if defined(NVILA_ISA_AMX)
constexpr int64_t kTaskBytes = int64_t{640} << 10;  // of queries and states: with a block of keys and values they stay in L2
#else
constexpr int64_t kTaskBytes = int64_t{192} << 10;
#endif

// Bytes of a group's queries and state, and of what a task needs beside its groups.
int64_t group_bytes(int64_t D) { return (queries_size(D) + state_size(D)) * static_cast<int64_t>(sizeof(float)); }
int64_t block_bytes(const KeyBlocks& blocks, int64_t D) {
  return (2 * blocks.size * block_stride(D) + (blocks.size + 1) * kLanes) * static_cast<int64_t>(sizeof(float));
}

// Rows [first, first + count) of a key head over all their keys; `first` is a multiple of kLanes.
void attend_rows(const Segment& segment, const KeyBlocks& blocks, int64_t head, int64_t first, int64_t count, float* memory) {
  const int64_t D = segment.D, stride = block_stride(D), slot = queries_size(D) + state_size(D);
  float* keys = memory;
  float* values = keys + blocks.size * stride;
  float* limits = values + blocks.size * stride;
  float* weights = limits + kLanes;
  float* slots = weights + blocks.size * kLanes;
  const int64_t groups = ceil_div(count, kLanes);
  const auto row_of = [&](int64_t group) { return first + group * kLanes; };
  const auto rows_of = [&](int64_t group) { return smaller(kLanes, count - group * kLanes); };
  for (int64_t group = 0; group < groups; group++) {
    float* queries = slots + group * slot;
    pack_queries(queries, segment, head, row_of(group), rows_of(group));
    clear_state(queries + queries_size(D), D, lanes_for(rows_of(group)));
  }
  const int64_t seen = segment.seen(first + count - 1);
  for (int64_t start = 0; start < seen; start += blocks.size) {
    const int64_t size = smaller(blocks.size, seen - start);
    copy_block(keys, Which::kKeys, segment, head, start, size);
    copy_block(values, Which::kValues, segment, head, start, size);
    Block block = {keys, values, stride, D, 0, 0, limits, weights};
    for (int64_t group = 0; group < groups; group++) {
      set_limits(block, limits, segment, row_of(group), rows_of(group), start, size);
      float* queries = slots + group * slot;
      if (block.some > 0) attend(queries + queries_size(D), queries, block, lanes_for(rows_of(group)));
    }
  }
  for (int64_t group = 0; group < groups; group++) {
    finish(segment, slots + group * slot + queries_size(D), head, row_of(group), rows_of(group));
  }
}

}  // namespace

Status attention_many(ThreadPool& pool, const Segment& segment) {
  const int64_t D = segment.D, rows = segment.rows();
  const KeyBlocks blocks(segment.Tk);
  const int64_t groups = ceil_div(rows, kLanes);
  int64_t of_group = group_bytes(D), of_block = block_bytes(blocks, D);
#if defined(NVILA_ISA_AMX)
  static_assert(kLanes == tiled::kRows, "both ways cut rows alike");
  if (segment.may_round) {
    of_group = larger(of_group, tiled::Sizes(D).group_bytes());
    of_block = larger(of_block, tiled::Sizes(D).block_bytes());
  }
#endif
  // More groups share a copy of the keys, fewer keep all threads busy to the end.
  const int64_t most = larger(1, kTaskBytes / of_group);
  const int64_t even = groups * segment.Hkv / (8 * pool.threads());
  const int64_t task_groups = smaller(groups, smaller(most, larger(4, even)));
  const int64_t tasks = ceil_div(groups, task_groups);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, static_cast<size_t>(of_block + task_groups * of_group))) return Status::kOutOfMemory;
  }
  pool.parallel_for(tasks * segment.Hkv, 1, [&](int64_t index, int64_t, int thread) {
    // The last rows first: causal ones have most to do.
    const int64_t head = index % segment.Hkv, first = (tasks - 1 - index / segment.Hkv) * task_groups * kLanes;
    const int64_t count = smaller(task_groups * kLanes, rows - first);
    void* memory = pool.scratch(thread, 0);
#if defined(NVILA_ISA_AMX)
    if (segment.may_round && tiled::attend_rows(segment, head, first, count, static_cast<uint8_t*>(memory))) return;
#endif
    attend_rows(segment, blocks, head, first, count, static_cast<float*>(memory));
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
