/** Turns a picture by quarter turns. */
import type { RgbImage } from "../preprocess/rgb-image.ts";

/** Degrees, clockwise. */
export type QuarterTurn = 0 | 90 | 180 | 270;

export function rotateImage(image: RgbImage, turn: QuarterTurn): RgbImage {
  if (turn === 0) return image;
  const { width, height, data } = image;
  const isSideways = turn !== 180;
  const out = new Uint8Array(data.length);
  const outWidth = isSideways ? height : width;
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++, from += 3) {
      const [outX, outY] =
        turn === 90 ? [height - 1 - y, x] : turn === 180 ? [width - 1 - x, height - 1 - y] : [y, width - 1 - x];
      const to = (outY * outWidth + outX) * 3;
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  }
  return { width: outWidth, height: isSideways ? width : height, data: out };
}
