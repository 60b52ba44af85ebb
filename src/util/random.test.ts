import { describe, expect, it } from "vitest";
import { Random } from "./random.ts";

describe("Random", () => {
  it("gives the same numbers for a seed, forever and everywhere", () => {
    const random = new Random(42);
    // From an independent implementation in another language.
    expect(Array.from({ length: 4 }, () => random.nextUint32())).toEqual([
      660444221, 3762185143, 3057801111, 2266887791,
    ]);
    expect(new Random(42).nextFloat()).toBe(0.15377165284717065);
    expect(new Random(2 ** 52 + 12345).nextUint32()).toBe(1093274547);
  });

  it("gives other numbers for every bit of the seed", () => {
    const seeds = [0, ...Array.from({ length: 53 }, (_, bit) => 2 ** bit), Number.MAX_SAFE_INTEGER];
    expect(new Set(seeds.map((seed) => new Random(seed).nextFloat())).size).toBe(seeds.length);
  });

  it("is uniform over [0, 1) in every bit", () => {
    const random = new Random(7);
    const draws = 20_000;
    const bins = new Uint32Array(64);
    const bits = new Uint32Array(32);
    for (let i = 0; i < draws; i++) {
      const value = random.nextFloat();
      expect(value >= 0 && value < 1).toBe(true);
      bins[Math.floor(value * 64)]++;
      const word = random.nextUint32();
      for (let bit = 0; bit < 32; bit++) bits[bit] += (word >>> bit) & 1;
    }
    // Chi-square with 63 degrees of freedom: 120 has a chance of 2e-5. A bit's count has a standard deviation of 71.
    const expected = draws / 64;
    expect(bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)).toBeLessThan(120);
    for (const count of bits) expect(Math.abs(count - draws / 2)).toBeLessThan(5 * 71);
  });

  it("refuses seeds that are no whole numbers", () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => new Random(seed)).toThrow(/seed/);
  });
});
