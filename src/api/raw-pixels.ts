/** Pixels that the caller has decoded, as RGB. */
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { RequestError } from "../util/errors.ts";
import type { RawPixels } from "./parts.ts";

/** Gray becomes three equal channels, alpha is dropped. @throws RequestError when sizes and bytes do not fit. */
export function rgbOfRawPixels(pixels: RawPixels, label: string): RgbImage {
  const { width, height, channels, data } = pixels;
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1) {
    throw new RequestError("image", `expected positive whole sides in ${label}, got ${width}×${height}`);
  }
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new RequestError("image", `expected 1, 3 or 4 channels in ${label}, got ${String(channels)}`);
  }
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new RequestError("image", `expected bytes (Uint8Array) as data of ${label}`);
  }
  const count = width * height;
  if (data.length !== count * channels) {
    throw new RequestError(
      "image",
      `expected ${count * channels} bytes for ${width}×${height} pixels of ${channels} channels in ${label}, got ${data.length}`,
    );
  }
  const rgb = new Uint8Array(count * 3);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += channels, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[channels === 1 ? from : from + 1];
    rgb[to + 2] = data[channels === 1 ? from : from + 2];
  }
  return { width, height, data: rgb };
}
