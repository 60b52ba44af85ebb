/**
 * Cross entropy of rows of logits with its gradient, by the largest logit and a sum of exponentials in f64:
 *   loss = −Σ_v q(v) (x_v − max − log Σ e^(x − max)),  gradient = weight (p − q)
 * q is one at the target. Of a target among the soft ids it is q(j) = e^(−(y − j)² / (2 std²)) / Σ_i … over those ids, while p stays over the
 * whole vocabulary. Source: VILA `llava/model/loss.py` soft_cross_entropy at b760c34; torch.nn.functional.cross_entropy.
 */
import type { Operand } from "../../backend.ts";
import { f32, i32 } from "../../host.ts";
import type { SoftTargets } from "../../training-backend.ts";

/** losses[T]; logits[T, V] become their gradients. Rows with a negative target: 0 and zeros. */
export function crossEntropy(
  losses: Operand,
  logits: Operand,
  targets: Operand,
  weights: Operand,
  soft: SoftTargets | null,
): void {
  const [T, V] = logits.shape;
  const out = f32(losses);
  const x = f32(logits);
  const target = i32(targets);
  const weight = f32(weights);
  const ids = soft ? i32(soft.ids) : new Int32Array(0);
  for (let t = 0; t < T; t++) {
    const row = x.subarray(t * V, (t + 1) * V);
    const y = target[t];
    if (y < 0) {
      out[t] = 0;
      row.fill(0);
      continue;
    }
    let max = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < V; v++) if (row[v] > max) max = row[v];
    let total = 0;
    for (let v = 0; v < V; v++) total += Math.exp(row[v] - max);
    const spread = soft && ids.includes(y) ? spreadOver(ids, y, soft.std) : [1];
    const places = soft && ids.includes(y) ? ids : [y];
    let loss = 0;
    for (const [i, v] of places.entries()) loss -= spread[i] * (row[v] - max - Math.log(total));
    out[t] = loss;
    const gradient = new Float64Array(V);
    for (let v = 0; v < V; v++) gradient[v] = weight[t] * (Math.exp(row[v] - max) / total);
    for (const [i, v] of places.entries()) gradient[v] -= weight[t] * spread[i];
    row.set(gradient);
  }
}

/** What each of `ids` gets of a target y. */
export function spreadOver(ids: Int32Array, y: number, std: number): number[] {
  const parts = Array.from(ids, (id) => Math.exp(-((y - id) ** 2) / (2 * std * std)));
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part / total);
}
