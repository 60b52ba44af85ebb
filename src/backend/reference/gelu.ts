/**
 * gelu(x) = x · Φ(x), the normal distribution function exactly (erf) or by tanh:
 *   erf:  ½ x (1 + erf(x / √2))
 *   tanh: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
 * Source: Hendrycks, Gimpel 2016 (arXiv 1606.08415); torch.nn.functional.gelu.
 */
import type { GeluKind, Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** Same shape as x. */
export function gelu(out: Operand, x: Operand, kind: GeluKind): void {
  const y = f32(out);
  const input = f32(x);
  for (let i = 0; i < input.length; i++) y[i] = kind === "tanh" ? geluTanh(input[i]) : geluErf(input[i]);
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function geluErf(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/**
 * erf(x) = 2/√π · e^(−x²) · Σ_n 2ⁿ x^(2n+1) / (2n+1)!!, to about 1e-15. All terms have one sign, so nothing cancels.
 * Source: Abramowitz, Stegun 1964, 7.1.6.
 */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x); // 1 − erf(6) < 2^-53
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
