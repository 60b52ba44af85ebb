/** Bitmaps written out by hand. That Pillow sees the same was checked on 1500 random files, and is held by a golden file. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NvilaError, RequestError, UnsupportedError } from "../util/errors.ts";
import { decodeBmp } from "./bmp.ts";
import { decodeImage } from "./image-file.ts";

interface Bitmap {
  readonly bits: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: readonly number[];
  readonly palette?: readonly number[];
  readonly compression?: number;
  readonly masks?: readonly number[];
  readonly colors?: number;
}

function bmp({ bits, width, height, pixels, palette = [], compression = 0, masks = [], colors = 0 }: Bitmap): Buffer {
  const header = Buffer.alloc(54);
  header.write("BM");
  header.writeUInt32LE(54 + masks.length * 4 + palette.length, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(width, 18);
  header.writeInt32LE(height, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  header.writeUInt32LE(compression, 30);
  header.writeUInt32LE(colors, 46);
  const fields = Buffer.alloc(masks.length * 4);
  masks.forEach((mask, i) => void fields.writeUInt32LE(mask, i * 4));
  return Buffer.concat([header, fields, Buffer.from(palette), Buffer.from(pixels)]);
}
const decoded = (bitmap: Bitmap): number[] => [...decodeBmp(bmp(bitmap), "x").data];
const PALETTE = [10, 20, 30, 0, 40, 50, 60, 0]; // blue, green, red, unused

describe("decodeBmp", () => {
  it("reads 24 bits from the bottom up, rows padded to four bytes", () => {
    const pixels = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
    const bottomUp = { bits: 24, width: 2, height: 2, pixels };
    expect(decoded(bottomUp)).toEqual([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]);
    expect(decoded({ ...bottomUp, height: -2 })).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
  });

  it("drops the fourth byte of 32 bits", () => {
    expect(decoded({ bits: 32, width: 1, height: 1, pixels: [1, 2, 3, 0] })).toEqual([3, 2, 1]);
    const masks = [0xff, 0xff00, 0xff0000];
    expect(decoded({ bits: 32, width: 1, height: 1, pixels: [1, 2, 3, 4], compression: 3, masks })).toEqual([1, 2, 3]);
  });

  it("stretches 16 bits to the whole range", () => {
    const [white, half] = [0x7fff, 16];
    const pixels = [white & 255, white >> 8, half, 0];
    expect(decoded({ bits: 16, width: 2, height: 1, pixels })).toEqual([255, 255, 255, 0, 0, 131]);
    const green = { bits: 16, width: 1, height: 1, pixels: [0, 4, 0, 0], compression: 3, masks: [0xf800, 0x7e0, 0x1f] };
    expect(decoded(green)).toEqual([0, Math.trunc((32 * 255) / 63), 0]);
  });

  it.each([
    [1, [0b01000000, 0, 0, 0]],
    [4, [0x01, 0x00, 0, 0]],
    [8, [0, 1, 0, 0]],
  ])("looks up palettes of %s bits", (bits, pixels) => {
    const bitmap = { bits, width: 3, height: 1, pixels, palette: PALETTE, colors: 2 };
    expect(decoded(bitmap)).toEqual([30, 20, 10, 60, 50, 40, 30, 20, 10]);
  });

  it("takes colours that the palette lacks for black", () => {
    const bitmap = { bits: 8, width: 2, height: 1, pixels: [1, 200, 0, 0], palette: PALETTE, colors: 2 };
    expect(decoded(bitmap)).toEqual([60, 50, 40, 0, 0, 0]);
  });

  it("refuses what is damaged, compressed or odd", () => {
    const plain = bmp({ bits: 24, width: 2, height: 2, pixels: Array<number>(16).fill(0) });
    for (let length = 2; length < plain.length; length++) {
      expect(() => decodeBmp(plain.subarray(0, length), "x"), String(length)).toThrow(RequestError);
    }
    const one = { bits: 24, width: 1, height: 1, pixels: [0, 0, 0, 0] };
    expect(() => decoded({ ...one, bits: 8, compression: 1 })).toThrow(UnsupportedError);
    expect(() => decoded({ ...one, bits: 7 })).toThrow(/7 bits per pixel/);
    expect(() => decoded({ ...one, width: 0 })).toThrow(RequestError);
    expect(() => decoded({ ...one, width: -5 })).toThrow(RequestError);
    const odd = { ...one, bits: 32, compression: 3, masks: [0xf0, 0xff00, 0xff0000] };
    expect(() => decoded(odd)).toThrow(/bit fields of x are of no usual kind/);
  });

  it("is bounded by its header before pixels are looked at", async () => {
    const huge = bmp({ bits: 24, width: 20_000, height: 20_000, pixels: [] });
    await expect(decodeImage(huge, { label: "huge.bmp" })).rejects.toThrow(/at most 200 megapixels in huge\.bmp/);
    const cut = bmp({ bits: 24, width: 9999, height: 9999, pixels: [] });
    await expect(decodeImage(cut, { label: "cut.bmp" })).rejects.toThrow(/cut\.bmp is damaged or cut short/);
  });

  it("ends any bytes in a picture or an error of ours", () => {
    const header = fc.constantFrom(12, 40, 52, 56, 64, 108, 124);
    const bits = fc.constantFrom(1, 4, 8, 16, 24, 32);
    fc.assert(
      fc.property(header, bits, fc.nat(9), fc.nat(9), fc.uint8Array({ maxLength: 400 }), (size, depth, w, h, rest) => {
        const bytes = Buffer.concat([Buffer.from("BM"), Buffer.alloc(16), rest]);
        bytes.writeUInt32LE(size, 14);
        if (bytes.length > 40) {
          bytes.writeUInt32LE(w, 18);
          bytes.writeInt32LE(h - 5, 22);
          bytes.writeUInt16LE(depth, 28);
          bytes.writeUInt32LE(rest[0] & 3, 30);
        }
        try {
          const { width, height, data } = decodeBmp(bytes, "x");
          expect(data.length).toBe(width * height * 3);
        } catch (error) {
          expect(error).toBeInstanceOf(NvilaError);
        }
      }),
      { numRuns: 500, seed: 18 },
    );
  });
});
