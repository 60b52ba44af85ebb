/**
 * k×k neighbours side by side in the channels:
 * out[b, i, j, (dy·k + dx)·C + c] = x[b, i·k + dy, j·k + dx, c], zero beyond the last row and column.
 * Source: NVILA paper §3.1.1; VILA `llava/model/multimodal_projector/base_projector.py` flat_square_2x2, flat_square_3x3 at b760c34.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[B, ⌈s/k⌉, ⌈s/k⌉, k·k·C] from x[B, s, s, C]. */
export function spaceToChannel(out: Operand, x: Operand, k: number): void {
  const [B, s, , C] = x.shape;
  const t = Math.ceil(s / k);
  const y = f32(out);
  const input = f32(x);
  let at = 0;
  for (let b = 0; b < B; b++) {
    for (let i = 0; i < t; i++) {
      for (let j = 0; j < t; j++) {
        for (let dy = 0; dy < k; dy++) {
          for (let dx = 0; dx < k; dx++) {
            const row = i * k + dy;
            const column = j * k + dx;
            const isInside = row < s && column < s;
            const from = ((b * s + row) * s + column) * C;
            for (let c = 0; c < C; c++) y[at++] = isInside ? input[from + c] : 0;
          }
        }
      }
    }
  }
}
