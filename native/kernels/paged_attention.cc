// Attention over keys and values that lie in the blocks of a pool: the kernels of attention.cc, which find every key through the table of
// its sequence. How a sequence is cut up depends on its own lengths alone, so its bits do not depend on what runs beside it, nor on
// which blocks of the pool it has.
#include "attention.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// `common` has what all sequences share.
Status attend_sequences(ThreadPool& pool, const Segment& common, float* out, const float* q, const int32_t* segments_q, const int32_t* lengths,
                        const int32_t* tables, int64_t sequences, int64_t table_width) {
  const int64_t width = common.H * common.D;
  if (sequences == 0 || width == 0) return Status::kOk;
  Segment* list = static_cast<Segment*>(
      pool.shared_scratch(static_cast<size_t>(sequences) * sizeof(Segment), ThreadPool::Shared::kCallerOfLinear));
  if (!list) return Status::kOutOfMemory;
  int64_t count = 0;
  for (int64_t i = 0; i < sequences; i++) {
    const int64_t start = segments_q[i], rows = segments_q[i + 1] - start;
    if (rows == 0) continue;
    Segment& segment = list[count++];
    segment = common;
    segment.out = out + start * width;
    segment.q = q + start * width;
    segment.Tq = rows;
    segment.Tk = lengths[i];
    segment.table = tables + i * table_width;
  }
  return attention_segments(pool, list, count);
}

}  // namespace

Status paged_attention(ThreadPool& pool, float* out, const float* q, const float* k, const float* v, const int32_t* segments_q,
                       const int32_t* lengths, const int32_t* tables, int64_t sequences, int64_t table_width, int64_t block_rows, int64_t H,
                       int64_t Hkv, int64_t D, double scale, bool may_round) {
  Segment common = segment_of(H, Hkv, D, scale, true);
  common.may_round = may_round;
  common.k = k;
  common.v = v;
  common.block_rows = block_rows;
  return attend_sequences(pool, common, out, q, segments_q, lengths, tables, sequences, table_width);
}

Status paged_attention_int8(ThreadPool& pool, float* out, const float* q, const int8_t* k, const float* k_scales, const int8_t* v,
                            const float* v_scales, const int32_t* segments_q, const int32_t* lengths, const int32_t* tables,
                            int64_t sequences, int64_t table_width, int64_t block_rows, int64_t H, int64_t Hkv, int64_t D, double scale) {
  Segment common = segment_of(H, Hkv, D, scale, true);
  common.k_codes = k;
  common.k_scales = k_scales;
  common.v_codes = v;
  common.v_scales = v_scales;
  common.block_rows = block_rows;
  return attend_sequences(pool, common, out, q, segments_q, lengths, tables, sequences, table_width);
}

}  // namespace NVILA_ISA
}  // namespace nvila
