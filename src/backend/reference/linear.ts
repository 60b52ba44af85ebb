/**
 * out[t, m] = Σ_c x[t, c] · weight[m, c] + bias[m], summed in f64.
 * Source: torch.nn.functional.linear.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";
import { widen, widenInto } from "./widen.ts";

/** out[…, M] from x[…, C], weight[M, C], bias[M]. */
export function linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void {
  const [M, C] = weight.shape;
  const y = f32(out);
  const input = f32(x);
  const T = M === 0 ? 0 : y.length / M;
  const b = bias && widen(bias);
  const row = new Float32Array(C);
  for (let m = 0; m < M; m++) {
    widenInto(row, weight, m * C);
    for (let t = 0; t < T; t++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += input[t * C + c] * row[c];
      y[t * M + m] = b ? sum + b[m] : sum;
    }
  }
}
