/**
 * Gradients of the norms, with x̂ the normalised row, s = 1 / sqrt(variance + eps) (or of the mean square) and g = dy · weight:
 *   layer norm: dx = s (g − mean(g) − x̂ mean(g x̂)), dWeight = Σ_t dy x̂, dBias = Σ_t dy
 *   RMS norm:   dx = s (g − x̂ mean(g x̂)),           dWeight = Σ_t dy x̂
 * All sums in f64. Source: the derivatives of reference/layer-norm.ts and rms-norm.ts.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";
import { widen } from "../widen.ts";

/** Writes dx[…, C]; adds to dWeight[C], dBias[C]. */
export function layerNormBackward(
  dx: Operand,
  dWeight: Operand | null,
  dBias: Operand | null,
  dy: Operand,
  x: Operand,
  weight: Operand,
  eps: number,
): void {
  normBackward(dx, dWeight, dBias, dy, x, weight, eps, true);
}

/** Writes dx[…, C]; adds to dWeight[C]. */
export function rmsNormBackward(
  dx: Operand,
  dWeight: Operand | null,
  dy: Operand,
  x: Operand,
  weight: Operand,
  eps: number,
): void {
  normBackward(dx, dWeight, null, dy, x, weight, eps, false);
}

function normBackward(
  dx: Operand,
  dWeight: Operand | null,
  dBias: Operand | null,
  dy: Operand,
  x: Operand,
  weight: Operand,
  eps: number,
  isCentred: boolean,
): void {
  const out = f32(dx);
  const upstream = f32(dy);
  const input = f32(x);
  const w = widen(weight);
  const C = w.length;
  const weightSums = new Float64Array(C);
  const biasSums = new Float64Array(C);
  for (let start = 0; start < input.length; start += C) {
    let mean = 0;
    for (let c = 0; isCentred && c < C; c++) mean += input[start + c] / C;
    let squares = 0;
    for (let c = 0; c < C; c++) squares += (input[start + c] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / C + eps);
    let sum = 0;
    let dot = 0;
    for (let c = 0; c < C; c++) {
      const normal = (input[start + c] - mean) * scale;
      const g = upstream[start + c] * w[c];
      sum += g;
      dot += g * normal;
      weightSums[c] += upstream[start + c] * normal;
      biasSums[c] += upstream[start + c];
    }
    const offset = isCentred ? sum / C : 0;
    for (let c = 0; c < C; c++) {
      const normal = (input[start + c] - mean) * scale;
      out[start + c] = scale * (upstream[start + c] * w[c] - offset - normal * (dot / C));
    }
  }
  const addTo = (target: Operand | null, sums: Float64Array): void => {
    if (!target) return;
    const array = f32(target);
    for (let c = 0; c < C; c++) array[c] += sums[c];
  };
  addTo(dWeight, weightSums);
  addTo(dBias, biasSums);
}
