/** Random pictures for property tests. */
import * as fc from "fast-check";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";

/** Mostly small sides, so that one-pixel and odd cases come up often. */
export function side(max = 40): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max }));
}

/** A picture with random bytes, or with the extreme values that make bicubic overshoot. */
export function anyImage(maxSide = 40): fc.Arbitrary<RgbImage> {
  return fc
    .record({ width: side(maxSide), height: side(maxSide), seed: fc.integer(), isExtreme: fc.boolean() })
    .map(({ width, height, seed, isExtreme }) => {
      const data = new Uint8Array(width * height * 3);
      let state = seed;
      for (let i = 0; i < data.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        data[i] = isExtreme ? (state >> 31) & 255 : state >>> 24;
      }
      return { width, height, data };
    });
}
