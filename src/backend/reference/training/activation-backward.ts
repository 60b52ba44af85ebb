/**
 * Derivatives of functions of one element:
 *   gelu, erf:  Φ(x) + x φ(x), Φ and φ the normal distribution and its density
 *   gelu, tanh: ½ (1 + t) + ½ x (1 − t²) √(2/π) (1 + 3 · 0.044715 x²) with t = tanh(√(2/π) (x + 0.044715 x³))
 *   swiglu:     d/dg silu(g) = σ(g) (1 + g (1 − σ(g)))
 * Source: the derivatives of reference/gelu.ts and swiglu.ts.
 */
import type { GeluKind, Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";
import { erf } from "../gelu.ts";

/** Same shapes. */
export function geluBackward(dx: Operand, dy: Operand, x: Operand, kind: GeluKind): void {
  const out = f32(dx);
  const upstream = f32(dy);
  const input = f32(x);
  const slope = kind === "tanh" ? tanhSlope : erfSlope;
  for (let i = 0; i < out.length; i++) out[i] = upstream[i] * slope(input[i]);
}

function erfSlope(x: number): number {
  return 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

function tanhSlope(x: number): number {
  const c = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(c * (x + 0.044715 * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
}

/** Same shapes. */
export function swigluBackward(dGate: Operand, dUp: Operand, dy: Operand, gate: Operand, up: Operand): void {
  const outGate = f32(dGate);
  const outUp = f32(dUp);
  const upstream = f32(dy);
  const g = f32(gate);
  const u = f32(up);
  for (let i = 0; i < g.length; i++) {
    const sigmoid = 1 / (1 + Math.exp(-g[i]));
    outGate[i] = upstream[i] * u[i] * sigmoid * (1 + g[i] * (1 - sigmoid));
    outUp[i] = upstream[i] * g[i] * sigmoid;
  }
}
