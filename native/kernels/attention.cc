// out[T, H, D] = softmax(scale · q kᵀ) v per segment and head: cuts a call into segments and chooses the way by their rows.
// f32 unless a caller lets tiles round (attention_amx.h); scores are never stored beyond one block. A query that sees no key gives
// zeros; a row with a score that is NaN or +∞ gives NaN, as in the reference.
#include "attention.h"

#include "exp2.h"

namespace nvila {
namespace NVILA_ISA {

Segment segment_of(int64_t H, int64_t Hkv, int64_t D, double scale, bool causal) {
  const double factor = scale * kLog2E;
  const float near = static_cast<float>(factor);
  Segment segment = {};
  segment.H = H;
  segment.Hkv = Hkv;
  segment.D = D;
  segment.causal = causal;
  segment.scale = near;
  // Of an infinite or NaN scale the rest would be NaN.
  segment.scale_rest = factor - near == factor - near ? static_cast<float>(factor - near) : 0.0f;
  return segment;
}

Status attention_segments(ThreadPool& pool, const Segment* segments, int64_t count) {
  // Neighbours with few rows go together.
  for (int64_t i = 0; i < count;) {
    int64_t end = i;
    while (end < count && segments[end].rows() <= kFewAttentionRows) end++;
    const Status status = end > i ? attention_few(pool, segments + i, end - i) : attention_many(pool, segments[i]);
    if (status != Status::kOk) return status;
    i = larger(end, i + 1);
  }
  return Status::kOk;
}

Status attention(ThreadPool& pool, float* out, const float* q, const float* k, const float* v, const int32_t* segments_q,
                 const int32_t* segments_k, int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale,
                 bool causal, bool may_round) {
  if (T == 0 || D == 0 || H == 0) return Status::kOk;
  Segment* list = static_cast<Segment*>(
      pool.shared_scratch(static_cast<size_t>(segments) * sizeof(Segment), ThreadPool::Shared::kCallerOfLinear));
  if (!list) return Status::kOutOfMemory;
  int64_t count = 0;
  for (int64_t i = 0; i < segments; i++) {
    const int64_t q0 = segments_q ? segments_q[i] : 0, q1 = segments_q ? segments_q[i + 1] : T;
    const int64_t k0 = segments_k ? segments_k[i] : 0, k1 = segments_k ? segments_k[i + 1] : S;
    if (q0 == q1) continue;
    Segment& segment = list[count++];
    segment = segment_of(H, Hkv, D, scale, causal);
    segment.may_round = may_round;
    segment.out = out + q0 * H * D;
    segment.q = q + q0 * H * D;
    segment.k = k + k0 * Hkv * D;
    segment.v = v + k0 * Hkv * D;
    segment.Tq = q1 - q0;
    segment.Tk = k1 - k0;
  }
  return attention_segments(pool, list, count);
}

}  // namespace NVILA_ISA
}  // namespace nvila
