/**
 * out[t, c] = x[t, c] / sqrt(mean_c(x²) + eps) · weight[c], the mean in f64.
 * Source: Zhang, Sennrich 2019 (arXiv 1910.07467); transformers Qwen2RMSNorm.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";
import { widen } from "./widen.ts";

/** out[…, C] from x[…, C], weight[C]. */
export function rmsNorm(out: Operand, x: Operand, weight: Operand, eps: number): void {
  const y = f32(out);
  const input = f32(x);
  const w = widen(weight);
  const C = w.length;
  for (let start = 0; start < input.length; start += C) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += input[start + c] ** 2;
    const scale = 1 / Math.sqrt(squares / C + eps);
    for (let c = 0; c < C; c++) y[start + c] = input[start + c] * scale * w[c];
  }
}
