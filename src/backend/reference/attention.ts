/**
 * Scaled dot-product attention, one query of one head at a time: scores and their maximum, then
 * out = Σ_j e^(s_j − max) · v_j / Σ_j e^(s_j − max), all sums in f64. One row of scores exists at a time.
 * A query that sees no key gives zeros, as flash-attn does.
 * Source: Vaswani et al. 2017 (arXiv 1706.03762); grouped heads: Ainslie et al. 2023 (arXiv 2305.13245); segments as in
 * flash_attn_varlen_func of flash-attn 2, causal masks aligned to the last key.
 */
import type { AttentionOptions, Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[T, H, D] from q[T, H, D], k[S, Hkv, D], v[S, Hkv, D]; head h reads key head ⌊h · Hkv / H⌋. */
export function attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void {
  const [T, H, D] = q.shape;
  const [S, Hkv] = k.shape;
  const { scale, causal } = options;
  const segmentsQ = options.cuSeqlensQ ?? Int32Array.of(0, T);
  const segmentsK = options.cuSeqlensK ?? Int32Array.of(0, S);
  const y = f32(out);
  const queries = f32(q);
  const keys = f32(k);
  const values = f32(v);
  const scores = new Float64Array(S);
  const sums = new Float64Array(D);
  for (let segment = 0; segment + 1 < segmentsQ.length; segment++) {
    const startQ = segmentsQ[segment];
    const startK = segmentsK[segment];
    const countQ = segmentsQ[segment + 1] - startQ;
    const countK = segmentsK[segment + 1] - startK;
    for (let i = 0; i < countQ; i++) {
      const seen = causal ? countK - countQ + i + 1 : countK;
      for (let h = 0; h < H; h++) {
        const query = ((startQ + i) * H + h) * D;
        const head = Math.floor((h * Hkv) / H) * D;
        let max = Number.NEGATIVE_INFINITY;
        for (let j = 0; j < seen; j++) {
          const key = (startK + j) * Hkv * D + head;
          let dot = 0;
          for (let d = 0; d < D; d++) dot += queries[query + d] * keys[key + d];
          scores[j] = dot * scale;
          if (scores[j] > max) max = scores[j];
        }
        let total = 0;
        sums.fill(0);
        for (let j = 0; j < seen; j++) {
          const value = (startK + j) * Hkv * D + head;
          const weight = Math.exp(scores[j] - max);
          total += weight;
          for (let d = 0; d < D; d++) sums[d] += weight * values[value + d];
        }
        for (let d = 0; d < D; d++) y[query + d] = seen > 0 ? sums[d] / total : 0;
      }
    }
  }
}
