/**
 * Patch embedding, a convolution whose kernel and stride are one patch:
 * out[b, p, c] = Σ_{i, dy, dx} pixels[b, i, py·patch + dy, px·patch + dx] · weight[c, i, dy, dx] + bias[c] + position[p, c]
 * with p = py·n + px, n = ⌊S / patch⌋, summed in f64; pixels beyond n·patch are not read.
 * Source: Dosovitskiy et al. 2020 (arXiv 2010.11929); transformers SiglipVisionEmbeddings (Conv2d, padding "valid").
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";
import { widen, widenInto } from "./widen.ts";

/** out[B·P, C] from pixels[B, 3, S, S], weight[C, 3, patch, patch], bias[C], position[P, C]. */
export function patchEmbed(out: Operand, pixels: Operand, weight: Operand, bias: Operand, position: Operand): void {
  const [B, channels, S] = pixels.shape;
  const [C, , patch] = weight.shape;
  const n = Math.floor(S / patch);
  const y = f32(out);
  const input = f32(pixels);
  const b = widen(bias);
  const offsets = widen(position);
  const kernel = new Float32Array(channels * patch * patch);
  for (let c = 0; c < C; c++) {
    widenInto(kernel, weight, c * kernel.length);
    for (let picture = 0; picture < B; picture++) {
      for (let py = 0; py < n; py++) {
        for (let px = 0; px < n; px++) {
          const p = py * n + px;
          let sum = 0;
          let k = 0;
          for (let channel = 0; channel < channels; channel++) {
            for (let dy = 0; dy < patch; dy++) {
              const row = ((picture * channels + channel) * S + py * patch + dy) * S + px * patch;
              for (let dx = 0; dx < patch; dx++) sum += input[row + dx] * kernel[k++];
            }
          }
          y[(picture * n * n + p) * C + c] = sum + b[c] + offsets[p * C + c];
        }
      }
    }
  }
}
