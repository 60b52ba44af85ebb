/**
 * out = silu(gate) · up with silu(g) = g / (1 + e^(−g)).
 * Source: Shazeer 2020 (arXiv 2002.05202); transformers Qwen2MLP.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** Three operands of one shape. */
export function swiglu(out: Operand, gate: Operand, up: Operand): void {
  const y = f32(out);
  const g = f32(gate);
  const u = f32(up);
  for (let i = 0; i < y.length; i++) y[i] = (g[i] / (1 + Math.exp(-g[i]))) * u[i];
}
