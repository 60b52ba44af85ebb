/**
 * One tile per picture: the whole picture distorted to S × S ("resize", and everything else that is not tiled), or first
 * centred on a square of the mean colour ("pad"). After VILA llava/mm_utils.py `process_image`, `expand2square` (b760c34).
 *
 * DIFFERS: the original's processor takes a picture of height 1 or 3 for channels-first when it does the resize itself;
 * here such pictures are resized like any other.
 */
import { resizeBicubic } from "./resize-bicubic.ts";
import { checkRgbImage, type RgbImage } from "./rgb-image.ts";
import type { Tiles } from "./tiles.ts";

export interface SingleTileOptions {
  /** Side S of the tile in pixels. */
  readonly tileSize: number;
  readonly fit: "resize" | "pad";
  /** Mean of the normalisation per channel, 0 … 1: the colour of the padding. */
  readonly imageMean: readonly number[];
}

export function singleTile(image: RgbImage, options: SingleTileOptions): Tiles {
  const { tileSize, fit, imageMean } = options;
  const source = fit === "pad" ? padToSquare(image, imageMean) : image;
  return { count: 1, size: tileSize, data: resizeBicubic(source, tileSize, tileSize).data };
}

/** The picture centred on a square of its longer side, in the colour trunc(mean · 255). */
export function padToSquare(image: RgbImage, imageMean: readonly number[]): RgbImage {
  checkRgbImage(image);
  const { width, height } = image;
  if (width === height) return image;
  const side = Math.max(width, height);
  const data = new Uint8Array(side * side * 3);
  const [red, green, blue] = imageMean.map((mean) => Math.trunc(mean * 255));
  if (red === green && green === blue) data.fill(red);
  else {
    for (let i = 0; i < data.length; i += 3) {
      data[i] = red;
      data[i + 1] = green;
      data[i + 2] = blue;
    }
  }
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  for (let y = 0; y < height; y++) {
    data.set(image.data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * side + left) * 3);
  }
  return { width: side, height: side, data };
}
