/**
 * Adaptive average: out[i, j, c] is the mean of x over rows ⌊i·h/h'⌋ … ⌈(i+1)·h/h'⌉ − 1 and columns alike, summed in f64.
 * Windows overlap when h' does not divide h; enlarging repeats values.
 * Source: torch.nn.functional.interpolate(mode="area"), which is adaptive_avg_pool2d.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[h', w', C] from x[h, w, C]. */
export function areaResize(out: Operand, x: Operand): void {
  const [h, w, C] = x.shape;
  const [height, width] = out.shape;
  const y = f32(out);
  const input = f32(x);
  for (let i = 0; i < height; i++) {
    const top = Math.floor((i * h) / height);
    const bottom = Math.ceil(((i + 1) * h) / height);
    for (let j = 0; j < width; j++) {
      const left = Math.floor((j * w) / width);
      const right = Math.ceil(((j + 1) * w) / width);
      for (let c = 0; c < C; c++) {
        let sum = 0;
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) sum += input[(row * w + column) * C + c];
        }
        y[(i * width + j) * C + c] = sum / ((bottom - top) * (right - left));
      }
    }
  }
}
