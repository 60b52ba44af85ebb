import { describe, expect, it } from "vitest";
import { erf } from "./gelu.ts";

describe("erf", () => {
  it("equals tabulated values to 1e-15", () => {
    // Abramowitz, Stegun 1964, table 7.1, and DLMF 7.23, to 15 digits.
    const table: readonly [number, number][] = [
      [0, 0],
      [0.1, 0.112462916018285],
      [0.5, 0.520499877813047],
      [1, 0.842700792949715],
      [1.5, 0.966105146475311],
      [2, 0.995322265018953],
      [3, 0.999977909503001],
      [5, 0.999999999998463],
      [7, 1],
      [Number.POSITIVE_INFINITY, 1],
    ];
    for (const [x, value] of table) {
      expect(Math.abs(erf(x) - value), `erf(${x})`).toBeLessThan(1e-15);
      expect(erf(-x)).toBe(-erf(x));
    }
    expect(erf(Number.NaN)).toBeNaN();
  });
});
