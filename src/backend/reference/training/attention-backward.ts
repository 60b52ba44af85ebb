/**
 * Gradients of attention, one query of one head at a time: with the weights p_j = e^(s_j − max) / Σ made again from q and k,
 *   dv_j += p_j dOut,  ds_j = p_j (dOut · v_j − dOut · out),  dq = scale Σ_j ds_j k_j,  dk_j += scale ds_j q.
 * Sums in f64; one row of scores exists at a time. A query that sees no key has no gradient.
 * Source: Dao et al. 2022 (arXiv 2205.14135), appendix B.2.
 */
import type { AttentionOptions, Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";

/** Writes dq[T, H, D], dk and dv[S, Hkv, D]. */
export function attentionBackward(
  dq: Operand,
  dk: Operand,
  dv: Operand,
  q: Operand,
  k: Operand,
  v: Operand,
  out: Operand,
  dOut: Operand,
  options: AttentionOptions,
): void {
  const [T, H, D] = q.shape;
  const [S, Hkv] = k.shape;
  const { scale, causal } = options;
  const segmentsQ = options.cuSeqlensQ ?? Int32Array.of(0, T);
  const segmentsK = options.cuSeqlensK ?? Int32Array.of(0, S);
  const [queries, keys, values, results, upstream] = [q, k, v, out, dOut].map(f32);
  const dQueries = f32(dq);
  const dKeys = new Float64Array(S * Hkv * D);
  const dValues = new Float64Array(S * Hkv * D);
  const weights = new Float64Array(S);
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
        const keyOf = (j: number): number => ((startK + j) * Hkv + Math.floor((h * Hkv) / H)) * D;
        softmaxRow(weights, seen, (j) => scale * dot(queries, query, keys, keyOf(j), D));
        const offset = dot(upstream, query, results, query, D);
        sums.fill(0);
        for (let j = 0; j < seen; j++) {
          const key = keyOf(j);
          const dScore = scale * weights[j] * (dot(upstream, query, values, key, D) - offset);
          for (let d = 0; d < D; d++) {
            dValues[key + d] += weights[j] * upstream[query + d];
            dKeys[key + d] += dScore * queries[query + d];
            sums[d] += dScore * keys[key + d];
          }
        }
        dQueries.set(sums, query);
      }
    }
  }
  f32(dk).set(dKeys);
  f32(dv).set(dValues);
}

function dot(a: Float32Array, startA: number, b: Float32Array, startB: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[startA + i] * b[startB + i];
  return sum;
}

/** weights[0, count) = the softmax of `score`. */
function softmaxRow(weights: Float64Array, count: number, score: (j: number) => number): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < count; j++) {
    weights[j] = score(j);
    if (weights[j] > max) max = weights[j];
  }
  let total = 0;
  for (let j = 0; j < count; j++) {
    weights[j] = Math.exp(weights[j] - max);
    total += weights[j];
  }
  for (let j = 0; j < count; j++) weights[j] /= total;
}
