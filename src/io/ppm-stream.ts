/**
 * Cuts a stream of binary PPM pictures ("P6", 8 bits) into pictures, wherever its pieces begin and end. Every picture
 * brings its own size, so a stream cannot get out of step.
 */
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { RequestError } from "../util/errors.ts";

const HEADER = /^P6\n(\d{1,9}) (\d{1,9})\n255\n/;
const MAX_HEADER_BYTES = 32;

export class PpmStream {
  readonly #label: string;
  readonly #maxPixels: number;
  #header = "";
  #picture: RgbImage | null = null;
  #filled = 0;

  constructor(label: string, maxPixels: number) {
    this.#label = label;
    this.#maxPixels = maxPixels;
  }

  /** The pictures that `bytes` complete. @throws RequestError on anything but PPM, and on too many pixels. */
  push(bytes: Uint8Array): RgbImage[] {
    const done: RgbImage[] = [];
    for (let at = 0; at < bytes.length; ) {
      this.#picture ??= this.#readHeader(bytes[at++]);
      if (this.#picture === null) continue;
      const { data } = this.#picture;
      const part = bytes.subarray(at, at + data.length - this.#filled);
      data.set(part, this.#filled);
      at += part.length;
      this.#filled += part.length;
      if (this.#filled < data.length) continue;
      done.push(this.#picture);
      this.#picture = null;
      this.#filled = 0;
    }
    return done;
  }

  #readHeader(byte: number): RgbImage | null {
    this.#header += String.fromCharCode(byte);
    const match = HEADER.exec(this.#header);
    if (match) {
      this.#header = "";
      const [width, height] = [Number(match[1]), Number(match[2])];
      if (width * height > this.#maxPixels || width * height === 0) {
        throw new RequestError(
          "video",
          `expected frames of at most ${this.#maxPixels} pixels in ${this.#label}, got ${width}×${height}`,
        );
      }
      return { width, height, data: new Uint8Array(width * height * 3) };
    }
    if (this.#header.length >= MAX_HEADER_BYTES) {
      throw new RequestError("video", `expected pictures from the decoder of ${this.#label}, got something else`);
    }
    return null;
  }
}
