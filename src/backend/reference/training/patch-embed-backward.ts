/**
 * Gradients of the patch convolution's parameters: with the pixels of patch p as a row x[p], dWeight = dyᵀ · x, dBias = Σ dy and
 * dPosition[p] = Σ_b dy[b, p]. Source: the derivative of reference/patch-embed.ts.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";

/** Adds to dWeight[C, 3, patch, patch], dBias[C], dPosition[P, C] from dy[B·P, C], pixels[B, 3, S, S]. */
export function patchEmbedBackward(
  dWeight: Operand,
  dBias: Operand,
  dPosition: Operand,
  dy: Operand,
  pixels: Operand,
): void {
  const [B, channels, S] = pixels.shape;
  const [C, , patch] = dWeight.shape;
  const n = Math.floor(S / patch);
  const P = n * n;
  const upstream = f32(dy);
  const input = f32(pixels);
  const weight = f32(dWeight);
  const bias = f32(dBias);
  const position = f32(dPosition);
  for (let c = 0; c < C; c++) {
    const sums = new Float64Array(channels * patch * patch);
    let total = 0;
    for (let picture = 0; picture < B; picture++) {
      for (let p = 0; p < P; p++) {
        const g = upstream[(picture * P + p) * C + c];
        total += g;
        let k = 0;
        for (let channel = 0; channel < channels; channel++) {
          for (let dy = 0; dy < patch; dy++) {
            const row = ((picture * channels + channel) * S + Math.floor(p / n) * patch + dy) * S + (p % n) * patch;
            for (let dx = 0; dx < patch; dx++) sums[k++] += g * input[row + dx];
          }
        }
      }
    }
    for (let k = 0; k < sums.length; k++) weight[c * sums.length + k] += sums[k];
    bias[c] += total;
    for (let p = 0; p < P; p++) {
      let sum = 0;
      for (let picture = 0; picture < B; picture++) sum += upstream[(picture * P + p) * C + c];
      position[p * C + c] += sum;
    }
  }
}
