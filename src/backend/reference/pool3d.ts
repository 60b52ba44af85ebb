/**
 * Mean over windows of pt frames, then ph rows, then pw columns, in f64 (three means in a row are the mean over the window).
 * Source: NVILA paper §3.1.2; VILA `llava/model/encoders/video/tsp.py` pool at b760c34.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[F/pt, h/ph, w/pw, C] from x[F, h, w, C]. */
export function pool3d(out: Operand, x: Operand, [pt, ph, pw]: readonly [pt: number, ph: number, pw: number]): void {
  const [, h, w, C] = x.shape;
  const [F, height, width] = out.shape;
  const y = f32(out);
  const input = f32(x);
  for (let f = 0; f < F; f++) {
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        for (let c = 0; c < C; c++) {
          let columns = 0;
          for (let dx = 0; dx < pw; dx++) {
            let rows = 0;
            for (let dy = 0; dy < ph; dy++) {
              let frames = 0;
              for (let dt = 0; dt < pt; dt++) {
                frames += input[(((f * pt + dt) * h + i * ph + dy) * w + j * pw + dx) * C + c];
              }
              rows += frames / pt;
            }
            columns += rows / ph;
          }
          y[((f * height + i) * width + j) * C + c] = columns / pw;
        }
      }
    }
  }
}
