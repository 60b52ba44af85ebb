/** Plans over lists of packets. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePacketIndex, planSegments } from "./packet-index.ts";

describe("parsePacketIndex", () => {
  it("puts packets into the order of display", () => {
    const index = parsePacketIndex("0,0.000000,K__\n1024,0.080000,___\n512,0.040000,___\n1536,0.120000,K_\n");
    expect(index).toEqual({ pts: [0, 512, 1024, 1536], seconds: [0, 0.04, 0.08, 0.12], keyFrames: [0, 3] });
  });

  it("gives up where packets may not be frames", () => {
    for (const csv of [
      "N/A,N/A,K__\n",
      "0,0.0,K__\n5,0.1,_D_\n",
      "0,0.0,K__\n5,0.1,__C\n",
      "0,0.0,K__\n0,0.0,___\n",
      "0,0.0,___\n5,0.1,K__\n",
      "5,0.1,K__\n0,0.0,___\n",
      "nonsense",
      "",
    ]) {
      expect(parsePacketIndex(csv), csv).toBeNull();
    }
  });
});

describe("planSegments", () => {
  const everyHundred = (frames: number) => {
    const pts = Array.from({ length: frames }, (_, i) => i * 512);
    return { pts, seconds: pts, keyFrames: pts.flatMap((_, i) => (i % 100 === 0 ? [i] : [])) };
  };

  it("starts at the last key frame and joins neighbours", () => {
    const index = everyHundred(10_000);
    expect(planSegments(index, [0, 5000, 5003, 5105, 9999], 10)).toEqual([
      { start: 0, wanted: [0] },
      { start: 5000, wanted: [5000, 5003] },
      { start: 5100, wanted: [5105] },
      { start: 9900, wanted: [9999] },
    ]);
  });

  it("prefers one pass where that costs less", () => {
    const index = everyHundred(1000);
    expect(planSegments(index, [0, 300, 600, 999], 400)).toBeNull();
    expect(planSegments(index, [50, 99], 10)).toBeNull();
    expect(planSegments(index, [1000], 0)).toBeNull(); // not in the list
  });

  it("covers every wanted frame once, each from a key frame before it, for less than everything", () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 2999 }), { minLength: 1, maxLength: 40 });
    const keys = fc.uniqueArray(fc.integer({ min: 1, max: 2999 }), { maxLength: 60 });
    fc.assert(
      fc.property(numbers, keys, fc.integer({ min: 0, max: 200 }), (unsorted, otherKeys, startCost) => {
        const ascending = (a: number, b: number): number => a - b;
        const wanted = unsorted.sort(ascending);
        const keyFrames = [0, ...otherKeys.sort(ascending)];
        const segments = planSegments({ ...everyHundred(3000), keyFrames }, wanted, startCost);
        if (segments === null) return;
        expect(segments.flatMap((segment) => segment.wanted)).toEqual(wanted);
        let cost = 0;
        for (const { start, wanted: inside } of segments) {
          expect(keyFrames).toContain(start);
          expect(start).toBeLessThanOrEqual(inside[0]);
          cost += startCost + inside[inside.length - 1] - start;
        }
        expect(cost).toBeLessThan(wanted[wanted.length - 1] + startCost);
      }),
      { numRuns: 300, seed: 17 },
    );
  });
});
