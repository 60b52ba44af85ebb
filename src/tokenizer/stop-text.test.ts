import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestError } from "../util/errors.ts";
import { createStopText } from "./stop-text.ts";

/** The definition: the text grows by one unit at a time until it ends in a stop string, which is cut off. */
function define(text: string, stops: readonly string[]): { text: string; isStopped: boolean } {
  for (let end = 0; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
    if (found.length > 0) return { text: text.slice(0, end - Math.max(...found)), isStopped: true };
  }
  return { text, isStopped: false };
}

/** Few letters, so that stop strings occur, overlap, contain each other and begin without ending. */
const wordOf = (letters: fc.Arbitrary<string>, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.array(letters, { minLength, maxLength }).map((parts) => parts.join(""));
const cases = fc.oneof(
  ...[fc.constantFrom("a", "b"), fc.constantFrom("a", "b", "c", "\n", "é", "😀", "👍🏽")].map((letters) =>
    fc.tuple(wordOf(letters, 0, 40), fc.array(wordOf(letters, 1, 6), { maxLength: 4 })),
  ),
);

describe("stop text", () => {
  it("equals the definition however the text is cut into pieces", () => {
    fc.assert(
      fc.property(cases, fc.infiniteStream(fc.nat(9)), ([whole, stops], sizes) => {
        const expected = define(whole, stops);
        const stream = createStopText(stops);
        let got = "";
        for (let at = 0; at < whole.length && !stream.isStopped; ) {
          const size = sizes.next().value ?? 1;
          got += stream.push(whole.slice(at, at + size));
          at += size;
          expect(expected.text.startsWith(got)).toBe(true); // nothing is taken back
          expect(/[\ud800-\udbff]$/.test(got)).toBe(false); // no half character
        }
        got += stream.flush();
        expect({ text: got, isStopped: stream.isStopped }).toEqual(expected);
      }),
      { numRuns: 2000, seed: 21 },
    );
  });

  it("gives text out as soon as no stop string can begin in it", () => {
    const stream = createStopText(["\n\nQ:"]);
    expect(stream.push("Paris")).toBe("Paris");
    expect(stream.push(".\n")).toBe(".");
    expect(stream.push("In")).toBe("\nIn");
    expect(stream.push(" short\n\nQ")).toBe(" short");
    expect(stream.push(": why")).toBe("");
    expect(stream.isStopped).toBe(true);
    expect([stream.push("more"), stream.flush()]).toEqual(["", ""]);
  });

  it("passes text through without stop strings", () => {
    const stream = createStopText([]);
    expect([stream.push("abc"), stream.push(""), stream.flush(), stream.isStopped]).toEqual(["abc", "", "", false]);
  });

  it("stops at the string that is complete first, at the longest of those that end together", () => {
    const stream = createStopText(["abcd", "bc"]);
    expect(stream.push("xab")).toBe("x");
    expect(stream.push("c")).toBe("a");
    expect(stream.isStopped).toBe(true);
    expect(createStopText(["abcd", "bc"]).push("xabcd")).toBe("xa");
    expect(createStopText(["bc", "abc"]).push("xabcd")).toBe("x");
  });

  it("refuses stop strings that are empty or no strings", () => {
    for (const wrong of ["", 3, null]) expect(() => createStopText([wrong as string])).toThrow(RequestError);
  });
});
