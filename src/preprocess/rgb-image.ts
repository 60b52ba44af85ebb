/**
 * A decoded picture: 8-bit RGB, rows top to bottom, nothing else. Knows no file format and no colour management;
 * io/image-file.ts makes these, the rest of this room reads them.
 */
import { RequestError } from "../util/errors.ts";

/** Pixels of a picture. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], red green blue. */
  readonly data: Uint8Array;
}

/** @throws RequestError when a side is not a positive integer or the bytes do not fill [height, width, 3]. */
export function checkRgbImage(image: RgbImage): void {
  const { width, height, data } = image;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RequestError("image", `expected positive whole sides, got ${width}×${height}`);
  }
  if (data.length !== width * height * 3) {
    throw new RequestError(
      "image",
      `expected ${width * height * 3} bytes for ${width}×${height} RGB, got ${data.length}. ` +
        "You can drop an alpha channel before handing raw pixels over",
    );
  }
}
