/**
 * Gradients of operations that move or average the places of a map. Moves go back to where they came from; an average gives each place of
 * its window an equal share, and a place in several windows the sum of its shares.
 * Source: the derivatives of reference/space-to-channel.ts, area-resize.ts, pool3d.ts and concat-columns.ts.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";

/** dx[B, s, s, C] from dy[B, t, t, k·k·C]; what padding got is dropped. */
export function spaceToChannelBackward(dx: Operand, dy: Operand, k: number): void {
  const [B, s, , C] = dx.shape;
  const t = dy.shape[1];
  const out = f32(dx);
  const upstream = f32(dy);
  for (let b = 0; b < B; b++) {
    for (let row = 0; row < s; row++) {
      for (let column = 0; column < s; column++) {
        const place = (b * t + Math.floor(row / k)) * t + Math.floor(column / k);
        const from = (place * k * k + (row % k) * k + (column % k)) * C;
        for (let c = 0; c < C; c++) out[((b * s + row) * s + column) * C + c] = upstream[from + c];
      }
    }
  }
}

/** dx[h, w, C] from dy[h', w', C]. */
export function areaResizeBackward(dx: Operand, dy: Operand): void {
  const [h, w, C] = dx.shape;
  const [height, width] = dy.shape;
  const sums = new Float64Array(h * w * C);
  const upstream = f32(dy);
  for (let i = 0; i < height; i++) {
    const top = Math.floor((i * h) / height);
    const bottom = Math.ceil(((i + 1) * h) / height);
    for (let j = 0; j < width; j++) {
      const left = Math.floor((j * w) / width);
      const right = Math.ceil(((j + 1) * w) / width);
      const share = 1 / ((bottom - top) * (right - left));
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          for (let c = 0; c < C; c++) sums[(row * w + column) * C + c] += share * upstream[(i * width + j) * C + c];
        }
      }
    }
  }
  f32(dx).set(sums);
}

/** dx[F, h, w, C] from dy[F/pt, h/ph, w/pw, C]. */
export function pool3dBackward(
  dx: Operand,
  dy: Operand,
  [pt, ph, pw]: readonly [pt: number, ph: number, pw: number],
): void {
  const [F, h, w, C] = dx.shape;
  const [, height, width] = dy.shape;
  const out = f32(dx);
  const upstream = f32(dy);
  const share = 1 / (pt * ph * pw);
  for (let f = 0; f < F; f++) {
    for (let row = 0; row < h; row++) {
      for (let column = 0; column < w; column++) {
        const from = ((Math.floor(f / pt) * height + Math.floor(row / ph)) * width + Math.floor(column / pw)) * C;
        for (let c = 0; c < C; c++) out[((f * h + row) * w + column) * C + c] = share * upstream[from + c];
      }
    }
  }
}

/** out[…, C] = columns [column, column + C) of x[…, width]. */
export function takeColumns(out: Operand, x: Operand, column: number): void {
  const C = out.shape.at(-1) ?? 0;
  const width = x.shape.at(-1) ?? 0;
  const y = f32(out);
  const input = f32(x);
  for (let i = 0; i < y.length; i++) y[i] = input[Math.floor(i / C) * width + column + (i % C)];
}
