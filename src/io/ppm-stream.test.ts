/** PPM streams cut anywhere, and things that are none. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestError } from "../util/errors.ts";
import { PpmStream } from "./ppm-stream.ts";

const ppm = (width: number, height: number, value: number): Buffer =>
  Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), Buffer.alloc(width * height * 3, value)]);

describe("PpmStream", () => {
  it("gives the same pictures wherever the stream is cut", () => {
    const stream = Buffer.concat([ppm(3, 2, 7), ppm(1, 1, 10), ppm(5, 1, 0x50)]);
    const cuts = fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (places) => {
        const ends = [...places, stream.length].sort((a, b) => a - b);
        const reader = new PpmStream("clip", 100);
        const pictures = ends.flatMap((end, i) => reader.push(stream.subarray(ends[i - 1] ?? 0, end)));
        expect(pictures.map(({ width, height, data }) => [width, height, data.length, data[0], data.at(-1)])).toEqual([
          [3, 2, 18, 7, 7],
          [1, 1, 3, 10, 10],
          [5, 1, 15, 0x50, 0x50],
        ]);
      }),
      { numRuns: 100, seed: 13 },
    );
  });

  it("refuses other bytes and too many pixels", () => {
    expect(() => new PpmStream("clip", 100).push(Buffer.alloc(64, 0x41))).toThrow(RequestError);
    expect(() => new PpmStream("clip", 100).push(ppm(11, 10, 0))).toThrow(/at most 100 pixels in clip, got 11×10/);
    expect(() => new PpmStream("clip", 100).push(Buffer.from("P6\n0 3\n255\n"))).toThrow(RequestError);
    expect(() => new PpmStream("clip", 100).push(Buffer.from(`P6\n${"9".repeat(50)}`))).toThrow(RequestError);
  });
});
