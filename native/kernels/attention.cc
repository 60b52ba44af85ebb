// out[T, H, D] = softmax(scale · q kᵀ) v per segment and head: cuts the call into segments and chooses the way by their rows.
// f32 throughout; scores are never stored beyond one block. A query that sees no key gives zeros; a row with a score that is NaN or
// +∞ gives NaN, as in the reference.
#include "attention.h"

#include "exp2.h"

namespace nvila {
namespace NVILA_ISA {

Status attention(ThreadPool& pool, float* out, const float* q, const float* k, const float* v, const int32_t* segments_q,
                 const int32_t* segments_k, int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale,
                 bool causal) {
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
  for (int64_t i = 0; i < segments; i++) {
    const int64_t q0 = segments_q ? segments_q[i] : 0, q1 = segments_q ? segments_q[i + 1] : T;
    const int64_t k0 = segments_k ? segments_k[i] : 0, k1 = segments_k ? segments_k[i + 1] : S;
    segment.out = out + q0 * H * D;
    segment.q = q + q0 * H * D;
    segment.k = k + k0 * Hkv * D;
    segment.v = v + k0 * Hkv * D;
    segment.Tq = q1 - q0;
    segment.Tk = k1 - k0;
    if (segment.Tq == 0 || D == 0 || H == 0) continue;
    const Status status = segment.rows() <= kFewAttentionRows ? attention_few(pool, segment) : attention_many(pool, segment);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
