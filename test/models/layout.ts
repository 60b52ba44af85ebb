/** The original keeps maps as [C, h, w]; ours are [h, w, C]. */
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Values of x[C, h, w] in the order [h, w, C]. */
export async function channelsLast(x: Tensor): Promise<{ shape: number[]; values: Float32Array }> {
  const [C, h, w] = x.shape;
  const source = await x.readF32();
  const values = new Float32Array(source.length);
  for (let c = 0; c < C; c++) for (let p = 0; p < h * w; p++) values[p * C + c] = source[c * h * w + p];
  return { shape: [h, w, C], values };
}
