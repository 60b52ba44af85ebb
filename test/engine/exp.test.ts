import { describe, expect, it } from "vitest";
import { expOfNegative } from "../../src/engine/exp.ts";
import { Random } from "../../src/util/random.ts";

describe("expOfNegative", () => {
  it("is Math.exp but for its last digits", () => {
    const random = new Random(1);
    for (const range of [1e-12, 1e-3, 1, 30, 700]) {
      for (let i = 0; i < 20_000; i++) {
        const x = -range * random.nextFloat();
        const error = Math.abs(expOfNegative(x) / Math.exp(x) - 1);
        if (error > (range > 30 ? 1e-13 : 1e-14)) expect.fail(`off by ${error} at ${x}`);
      }
    }
    for (let step = 0; step <= 640; step++) {
      const x = (-step * Math.LN2) / 64; // where a step ends
      expect(expOfNegative(x)).toBeCloseTo(Math.exp(x), 14);
    }
  });

  it("keeps the ends", () => {
    expect(expOfNegative(0)).toBe(1);
    expect(expOfNegative(-0)).toBe(1);
    expect(expOfNegative(-Number.MIN_VALUE)).toBe(1);
    expect(expOfNegative(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(expOfNegative(-1e308)).toBe(0);
    for (const x of [-708, -720, -740, -743.9]) {
      const [ours, theirs] = [expOfNegative(x), Math.exp(x)];
      expect(Math.abs(ours - theirs)).toBeLessThanOrEqual(Math.max(5e-324, theirs * 1e-12));
    }
    expect(expOfNegative(-744.1)).toBe(0);
  });
});
