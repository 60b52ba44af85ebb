/** Numbers within bounds: every short text is taken exactly when its value is within them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settleCosts } from "../../src/grammar/costs.ts";
import { decimalOf } from "../../src/grammar/decimals.ts";
import { Matcher, type Position } from "../../src/grammar/matcher.ts";
import { type NumberLimits, numberRule } from "../../src/grammar/number-rule.ts";
import { StatePool } from "../../src/grammar/state.ts";

function taker(limits: Partial<NumberLimits>): (text: string) => boolean {
  const pool = new StatePool(100_000, () => {
    throw new Error("too large");
  });
  const start = numberRule(
    {
      isInteger: true,
      min: null,
      max: null,
      isMinExclusive: false,
      isMaxExclusive: false,
      multipleOf: null,
      ...limits,
    },
    pool,
  );
  settleCosts(pool.states, null);
  const matcher = new Matcher();
  return (text) => {
    let at: Position | null = matcher.start(start);
    for (const byte of new TextEncoder().encode(text)) at = at && matcher.step(at, byte);
    return at?.canEnd ?? false;
  };
}

describe("whole numbers", () => {
  it("are those within the bounds and multiples, each in one text", () => {
    const bound = fc.oneof(fc.integer({ min: -1500, max: 1500 }), fc.constant(null));
    const divisor = fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 40 }), fc.constantFrom(0.5, 0.3, 2.5));
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.boolean(),
        fc.boolean(),
        divisor,
        (min, max, isMinExclusive, isMaxExclusive, multipleOf) => {
          const takes = taker({
            min: min === null ? null : decimalOf(min),
            max: max === null ? null : decimalOf(max),
            isMinExclusive,
            isMaxExclusive,
            multipleOf: multipleOf === null ? null : decimalOf(multipleOf),
          });
          for (let value = -1600; value <= 1600; value += 1) {
            const isWithin =
              (min === null || (isMinExclusive ? value > min : value >= min)) &&
              (max === null || (isMaxExclusive ? value < max : value <= max)) &&
              (multipleOf === null || (value * 10) % (multipleOf * 10) === 0);
            if (takes(String(value)) !== isWithin)
              expect([min, max, multipleOf, value, takes(String(value))]).toEqual([]);
          }
          for (const text of ["", "-", "00", "01", "-01", "-0", "1.0", "+1", "1e1", " 1"])
            expect(takes(text)).toBe(false);
        },
      ),
      { seed: 22, numRuns: 40 },
    );
  });
});

describe("numbers", () => {
  it("are those within the bounds, as far as 15 digits say", () => {
    const bound = fc.constantFrom(-1000, -2.5, -0.01, 0, 0.125, 1, 9.99, 1234.5, null);
    const text = fc
      .tuple(fc.constantFrom("", "-"), fc.nat(2000), fc.constantFrom("", ".0", ".5", ".01", ".125", ".999", ".000001"))
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.boolean(),
        fc.array(text, { minLength: 30, maxLength: 60 }),
        (min, max, isExclusive, texts) => {
          if (min === null && max === null) return;
          const takes = taker({
            isInteger: false,
            min: min === null ? null : decimalOf(min),
            max: max === null ? null : decimalOf(max),
            isMinExclusive: isExclusive,
            isMaxExclusive: isExclusive,
          });
          for (const text of texts) {
            const value = Number(text);
            const isWithin =
              (min === null || (isExclusive ? value > min : value >= min)) &&
              (max === null || (isExclusive ? value < max : value <= max)) &&
              !/^-0(\.0)?$/.test(text); // one zero is enough
            expect([min, max, isExclusive, text, takes(text)]).toEqual([min, max, isExclusive, text, isWithin]);
          }
        },
      ),
      { seed: 23, numRuns: 60 },
    );
  });

  it("are finite without bounds", () => {
    const takes = taker({ isInteger: false });
    for (const text of ["0", "-0", "12.5", "1e99", "-3.25E-07", "123456789012345"]) expect(takes(text)).toBe(true);
    for (const text of ["1e400", "01", ".5", "1.", "1e", "1234567890123456", "NaN", "--1"])
      expect(takes(text)).toBe(false);
  });

  it("have as many places as a decimal divisor", () => {
    const takes = taker({ isInteger: false, multipleOf: decimalOf(0.05), min: decimalOf(0) });
    for (const text of ["0.05", "0.00", "1.10", "12.35"]) expect(takes(text)).toBe(true);
    for (const text of ["0.01", "1.1", "0.051", "-0.05"]) expect(takes(text)).toBe(false);
  });
});
