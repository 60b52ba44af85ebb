/**
 * Gradients of y = x · Wᵀ + b: dx = dy · W, dW = dyᵀ · x, db = Σ_t dy, summed in f64.
 * Source: torch.nn.functional.linear's derivative.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";
import { widen } from "../widen.ts";

/** dx[…, C] from dy[…, M], weight[M, C]. */
export function linearBackwardInput(dx: Operand, dy: Operand, weight: Operand): void {
  const [M, C] = weight.shape;
  const out = f32(dx);
  const upstream = f32(dy);
  const w = widen(weight);
  const T = C === 0 ? 0 : out.length / C;
  for (let t = 0; t < T; t++) {
    for (let c = 0; c < C; c++) {
      let sum = 0;
      for (let m = 0; m < M; m++) sum += upstream[t * M + m] * w[m * C + c];
      out[t * C + c] = sum;
    }
  }
}

/** Adds to dWeight[M, C] and dBias[M] from dy[…, M], x[…, C]. */
export function linearBackwardWeight(dWeight: Operand | null, dBias: Operand | null, dy: Operand, x: Operand): void {
  const M = dy.shape.at(-1) ?? 0;
  const C = x.shape.at(-1) ?? 0;
  const upstream = f32(dy);
  const input = f32(x);
  const T = M === 0 ? 0 : upstream.length / M;
  const w = dWeight && f32(dWeight);
  const b = dBias && f32(dBias);
  for (let m = 0; m < M; m++) {
    for (let c = 0; w && c < C; c++) {
      let sum = 0;
      for (let t = 0; t < T; t++) sum += upstream[t * M + m] * input[t * C + c];
      w[m * C + c] += sum;
    }
    if (!b) continue;
    let sum = 0;
    for (let t = 0; t < T; t++) sum += upstream[t * M + m];
    b[m] += sum;
  }
}
