/**
 * Bicubic resize of 8-bit RGB with the bytes of Pillow's `Image.resize` (a = −0.5, antialiased): 22-bit fixed-point
 * weights, a horizontal pass rounded to bytes, then a vertical pass. The bicubic of canvas, sharp and torch differ.
 * Arithmetic after python-pillow/Pillow src/libImaging/Resample.c (`precompute_coeffs`, `ImagingResampleHorizontal_8bpc`).
 *
 * Rows pass through a ring just large enough for one output row's taps, so memory does not grow with the source height.
 */
import { assert } from "../util/assert.ts";
import { checkRgbImage, type RgbImage } from "./rgb-image.ts";

/** Fraction bits of a weight: 32 − 8 (pixel) − 2 (overshoot of the kernel), as in Pillow. */
const WEIGHT_BITS = 22;
const HALF = 1 << (WEIGHT_BITS - 1);
/** Reach of the bicubic kernel in output pixels. */
const KERNEL_RADIUS = 2;

/** Taps of one axis: output index o reads inputs start[o] … start[o] + count[o] − 1. */
export interface AxisTaps {
  readonly start: Int32Array;
  readonly count: Int32Array;
  /** weight[o · maxCount + j], 22 fraction bits. */
  readonly weights: Int32Array;
  readonly maxCount: number;
}

/** Weights of one axis, inputSize → outputSize. */
export function bicubicTaps(inputSize: number, outputSize: number): AxisTaps {
  const scale = inputSize / outputSize;
  const filterScale = Math.max(scale, 1);
  const support = KERNEL_RADIUS * filterScale;
  const maxCount = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(outputSize);
  const count = new Int32Array(outputSize);
  const weights = new Int32Array(outputSize * maxCount);
  const exact = new Float64Array(maxCount);
  for (let o = 0; o < outputSize; o++) {
    const center = (o + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const taps = Math.min(inputSize, Math.trunc(center + support + 0.5)) - low;
    let sum = 0;
    for (let j = 0; j < taps; j++) {
      exact[j] = bicubicKernel((low + j - center + 0.5) * (1 / filterScale));
      sum += exact[j];
    }
    for (let j = 0; j < taps; j++) {
      const fixed = (sum === 0 ? exact[j] : exact[j] / sum) * (1 << WEIGHT_BITS);
      weights[o * maxCount + j] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    start[o] = low;
    count[o] = taps;
  }
  return { start, count, weights, maxCount };
}

function bicubicKernel(position: number): number {
  const x = Math.abs(position);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return -0.5 * (((x - 5) * x + 8) * x - 4);
  return 0;
}

/**
 * Resizes to width × height, distorting when the ratio differs. An unchanged axis is not filtered; with both unchanged
 * the bytes are copied.
 *
 * @throws RequestError when the picture's bytes do not fit its size.
 */
export function resizeBicubic(image: RgbImage, width: number, height: number): RgbImage {
  checkRgbImage(image);
  assert(
    Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0,
    `resize to ${width}×${height}`,
  );
  const across = image.width === width ? null : bicubicTaps(image.width, width);
  const down = image.height === height ? null : bicubicTaps(image.height, height);
  if (!across && !down) return { width, height, data: new Uint8Array(image.data) };

  const rowBytes = width * 3;
  const data = new Uint8Array(rowBytes * height);
  const out = new Uint8ClampedArray(data.buffer);
  if (!down) {
    for (let y = 0; y < height; y++) resizeRow(out, y * rowBytes, image.data, y * image.width * 3, across!, width);
    return { width, height, data };
  }
  if (!across) {
    const offsets = new Int32Array(down.maxCount);
    const sums = new Int32Array(rowBytes);
    for (let y = 0; y < height; y++) {
      for (let j = 0; j < down.count[y]; j++) offsets[j] = (down.start[y] + j) * rowBytes;
      combineRows(out, y * rowBytes, image.data, offsets, down.weights, y * down.maxCount, down.count[y], sums);
    }
    return { width, height, data };
  }

  const ring = new Uint8ClampedArray(rowBytes * down.maxCount);
  const ringBytes = new Uint8Array(ring.buffer);
  const offsets = new Int32Array(down.maxCount);
  const sums = new Int32Array(rowBytes);
  let nextRow = 0;
  for (let y = 0; y < height; y++) {
    const first = down.start[y];
    const end = first + down.count[y];
    for (nextRow = Math.max(nextRow, first); nextRow < end; nextRow++) {
      const slot = nextRow % down.maxCount;
      resizeRow(ring, slot * rowBytes, image.data, nextRow * image.width * 3, across, width);
    }
    for (let j = 0; j < down.count[y]; j++) offsets[j] = ((first + j) % down.maxCount) * rowBytes;
    combineRows(out, y * rowBytes, ringBytes, offsets, down.weights, y * down.maxCount, down.count[y], sums);
  }
  return { width, height, data };
}

/** Horizontal pass over one row: out[outStart + 3x + c] from source[sourceStart + 3·tap + c]. `out` clamps to a byte. */
function resizeRow(
  out: Uint8ClampedArray,
  outStart: number,
  source: Uint8Array,
  sourceStart: number,
  taps: AxisTaps,
  width: number,
): void {
  const { start, count, weights, maxCount } = taps;
  let o = outStart;
  for (let x = 0; x < width; x++, o += 3) {
    let i = sourceStart + start[x] * 3;
    let k = x * maxCount;
    const end = k + count[x];
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    for (; k < end; k++, i += 3) {
      const weight = weights[k];
      red = (red + Math.imul(source[i], weight)) | 0;
      green = (green + Math.imul(source[i + 1], weight)) | 0;
      blue = (blue + Math.imul(source[i + 2], weight)) | 0;
    }
    out[o] = red >> WEIGHT_BITS;
    out[o + 1] = green >> WEIGHT_BITS;
    out[o + 2] = blue >> WEIGHT_BITS;
  }
}

/** Vertical pass for one output row of sums.length bytes: the weighted sum of `count` rows at `offsets`, four at a time. */
function combineRows(
  out: Uint8ClampedArray,
  outStart: number,
  rows: Uint8Array,
  offsets: Int32Array,
  weights: Int32Array,
  weightStart: number,
  count: number,
  sums: Int32Array,
): void {
  const rowBytes = sums.length;
  sums.fill(HALF);
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const a = offsets[j];
    const b = offsets[j + 1];
    const c = offsets[j + 2];
    const d = offsets[j + 3];
    const wa = weights[weightStart + j];
    const wb = weights[weightStart + j + 1];
    const wc = weights[weightStart + j + 2];
    const wd = weights[weightStart + j + 3];
    for (let i = 0; i < rowBytes; i++) {
      const left = (Math.imul(rows[a + i], wa) + Math.imul(rows[b + i], wb)) | 0;
      const right = (Math.imul(rows[c + i], wc) + Math.imul(rows[d + i], wd)) | 0;
      sums[i] = (sums[i] + ((left + right) | 0)) | 0;
    }
  }
  for (; j < count; j++) {
    const a = offsets[j];
    const wa = weights[weightStart + j];
    for (let i = 0; i < rowBytes; i++) sums[i] = (sums[i] + Math.imul(rows[a + i], wa)) | 0;
  }
  for (let i = 0; i < rowBytes; i++) out[outStart + i] = sums[i] >> WEIGHT_BITS;
}
