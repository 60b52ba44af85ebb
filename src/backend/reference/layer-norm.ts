/**
 * out[t, c] = (x[t, c] − μ) / sqrt(σ² + eps) · weight[c] + bias[c], with μ and the population variance σ² of row t in f64.
 * Source: Ba, Kiros, Hinton 2016 (arXiv 1607.06450); torch.nn.LayerNorm.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";
import { widen } from "./widen.ts";

/** out[…, C] from x[…, C], weight[C], bias[C]. */
export function layerNorm(out: Operand, x: Operand, weight: Operand, bias: Operand, eps: number): void {
  const y = f32(out);
  const input = f32(x);
  const w = widen(weight);
  const b = widen(bias);
  const C = w.length;
  for (let start = 0; start < input.length; start += C) {
    let mean = 0;
    for (let c = 0; c < C; c++) mean += input[start + c];
    mean /= C;
    let variance = 0;
    for (let c = 0; c < C; c++) variance += (input[start + c] - mean) ** 2;
    variance /= C;
    const scale = 1 / Math.sqrt(variance + eps);
    for (let c = 0; c < C; c++) y[start + c] = (input[start + c] - mean) * scale * w[c] + b[c];
  }
}
