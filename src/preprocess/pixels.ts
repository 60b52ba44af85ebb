/**
 * From bytes to the numbers that enter the vision tower: rescale, normalise, round to fp16, and move channels first.
 * A byte has 256 values, so each channel is one table of 256 entries. After the Hugging Face SigLIP image processor.
 */
import { assert } from "../util/assert.ts";
import { roundToF16 } from "../util/half.ts";
import type { Tiles } from "./tiles.ts";

/** How bytes become pixel values; read from preprocessor_config.json. */
export interface Normalization {
  readonly doRescale: boolean;
  readonly rescaleFactor: number;
  readonly doNormalize: boolean;
  /** Per channel, on the rescaled values. */
  readonly imageMean: readonly number[];
  readonly imageStd: readonly number[];
}

/** Value of every byte in float32, before the fp16 rounding: [3, 256]. */
export function normalizationTable(normalization: Normalization): Float32Array {
  const { doRescale, rescaleFactor, doNormalize, imageMean, imageStd } = normalization;
  const table = new Float32Array(3 * 256);
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(imageMean[channel]);
    const std = Math.fround(imageStd[channel]);
    for (let byte = 0; byte < 256; byte++) {
      // Float64 product rounded once, then float32 arithmetic, as numpy does it.
      const rescaled = Math.fround(doRescale ? byte * rescaleFactor : byte);
      table[channel * 256 + byte] = doNormalize ? Math.fround(Math.fround(rescaled - mean) / std) : rescaled;
    }
  }
  return table;
}

/** Value of every byte as it enters the tower, float32 holding fp16: [3, 256]. */
export function pixelTable(normalization: Normalization): Float32Array {
  return normalizationTable(normalization).map(roundToF16);
}

/**
 * Tiles [start, end) as pixel values [end − start, 3, S, S], float32 holding fp16 values.
 * The original rounds pixels to fp16 before the vision tower whatever the weights' type.
 */
export function pixelValues(tiles: Tiles, start: number, end: number, normalization: Normalization): Float32Array {
  assert(start >= 0 && start <= end && end <= tiles.count, `tiles ${start}…${end} of ${tiles.count}`);
  const table = pixelTable(normalization);
  const red = table.subarray(0, 256);
  const green = table.subarray(256, 512);
  const blue = table.subarray(512, 768);
  const plane = tiles.size * tiles.size;
  const { data } = tiles;
  const out = new Float32Array((end - start) * 3 * plane);
  let source = start * plane * 3;
  for (let tile = 0; tile < end - start; tile++) {
    let r = tile * 3 * plane;
    let g = r + plane;
    let b = g + plane;
    for (const stop = g; r < stop; source += 3) {
      out[r++] = red[data[source]];
      out[g++] = green[data[source + 1]];
      out[b++] = blue[data[source + 2]];
    }
  }
  return out;
}
