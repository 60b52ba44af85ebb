/**
 * Rotary positions, halves layout: with a = positions[t] · theta^(−2i/D) in f64,
 * out[i] = x[i] · cos a − x[i + D/2] · sin a and out[i + D/2] = x[i + D/2] · cos a + x[i] · sin a.
 * DIFFERS: transformers rounds a to f32, which moves it by 2^-24 · a; that is far below the tolerance at the positions of a prompt.
 * Source: Su et al. 2021 (arXiv 2104.09864); transformers apply_rotary_pos_emb (rotate_half).
 */
import type { Operand } from "../backend.ts";
import { f32, i32 } from "../host.ts";

/** out[T, H, D] from x[T, H, D], positions[T]. */
export function rope(out: Operand, x: Operand, positions: Operand, theta: number): void {
  const [T, H, D] = x.shape;
  const half = D / 2;
  const y = f32(out);
  const input = f32(x);
  const position = i32(positions);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < half; i++) {
      const angle = position[t] * theta ** ((-2 * i) / D);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let h = 0; h < H; h++) {
        const at = (t * H + h) * D + i;
        const a = input[at];
        const b = input[at + half];
        y[at] = a * cos - b * sin;
        y[at + half] = b * cos + a * sin;
      }
    }
  }
}
