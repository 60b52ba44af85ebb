/** Holds the fast resize to a slow twin written straight from the formula, on any size. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bicubicTaps, resizeBicubic } from "../../src/preprocess/resize-bicubic.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { RequestError } from "../../src/util/errors.ts";
import { anyImage, side } from "./arbitrary-image.ts";

/** One axis of the definition: every output value from all inputs, in plain numbers. */
function resizeAxis(line: readonly number[], size: number): number[] {
  const scale = line.length / size;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, o) => {
    const center = (o + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - 2 * stretch + 0.5));
    const high = Math.min(line.length, Math.trunc(center + 2 * stretch + 0.5));
    const weights: number[] = [];
    for (let i = low; i < high; i++) {
      const x = Math.abs((i - center + 0.5) * (1 / stretch));
      weights.push(x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0);
    }
    let total = 0;
    for (const weight of weights) total += weight;
    let sum = 2 ** 21;
    for (const [j, weight] of weights.entries()) {
      const fixed = (weight / total) * 2 ** 22;
      sum += line[low + j] * Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    }
    return Math.min(255, Math.max(0, Math.floor(sum / 2 ** 22)));
  });
}

function slowResize({ width, height, data }: RgbImage, outWidth: number, outHeight: number): Uint8Array {
  const out = new Uint8Array(outWidth * outHeight * 3);
  for (let c = 0; c < 3; c++) {
    let rows = Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => data[(y * width + x) * 3 + c]),
    );
    if (outWidth !== width) rows = rows.map((row) => resizeAxis(row, outWidth));
    for (let x = 0; x < outWidth; x++) {
      const column = rows.map((row) => row[x]);
      const resized = outHeight === height ? column : resizeAxis(column, outHeight);
      for (let y = 0; y < outHeight; y++) out[(y * outWidth + x) * 3 + c] = resized[y];
    }
  }
  return out;
}

describe("resizeBicubic", () => {
  it("equals the definition", () => {
    fc.assert(
      fc.property(anyImage(), side(), side(), (image, width, height) => {
        const resized = resizeBicubic(image, width, height);
        expect([resized.width, resized.height]).toEqual([width, height]);
        expect(Buffer.compare(resized.data, slowResize(image, width, height))).toBe(0);
      }),
      { numRuns: 150, seed: 4242 },
    );
  });

  it("keeps a plain colour", () => {
    fc.assert(
      fc.property(side(), side(), side(), side(), fc.integer({ min: 0, max: 255 }), (w, h, width, height, value) => {
        const image = { width: w, height: h, data: new Uint8Array(w * h * 3).fill(value) };
        expect(resizeBicubic(image, width, height).data.every((byte) => byte === value)).toBe(true);
      }),
      { numRuns: 60, seed: 4243 },
    );
  });

  it("copies when nothing changes, whatever view holds the bytes", () => {
    const data = Buffer.from([1, 2, 3, 4, 5, 6]);
    const resized = resizeBicubic({ width: 2, height: 1, data }, 2, 1);
    data.fill(0);
    expect([...resized.data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("has the weights of the original", () => {
    expect([...bicubicTaps(640, 448).weights.subarray(0, 4)]).toEqual([2903499, 1509605, -215166, -3634]);
    const up = bicubicTaps(448, 896);
    expect([...up.weights.subarray(0, 2)]).toEqual([4564390, -370086]);
    expect([...up.weights.subarray(up.maxCount, up.maxCount + 3)]).toEqual([3398305, 887845, -91846]);
  });

  it("resizes extreme shapes", () => {
    for (const [width, height] of [
      [1, 1],
      [30000, 4],
      [4, 30000],
      [1, 5000],
    ]) {
      const image = { width, height, data: new Uint8Array(width * height * 3).fill(77) };
      expect(resizeBicubic(image, 448, 448).data.every((byte) => byte === 77)).toBe(true);
    }
  });

  it("refuses bytes that do not fit the size", () => {
    expect(() => resizeBicubic({ width: 2, height: 2, data: new Uint8Array(16) }, 4, 4)).toThrow(
      /\[image\] expected 12 bytes for 2×2 RGB, got 16/,
    );
    expect(() => resizeBicubic({ width: 0, height: 2, data: new Uint8Array(0) }, 4, 4)).toThrow(RequestError);
  });
});
