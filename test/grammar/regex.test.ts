/** Patterns as automata against the JavaScript engine's own regular expressions. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CharAutomaton } from "../../src/grammar/char-automaton.ts";
import { FORMATS } from "../../src/grammar/formats.ts";
import { PatternError } from "../../src/grammar/pattern-parser.ts";
import { patternAutomaton } from "../../src/grammar/regex.ts";

function takes({ edges, isFinal }: CharAutomaton, text: string): boolean {
  let state = 0;
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const edge = edges[state].find(({ low, high }) => low <= code && code <= high);
    if (!edge) return false;
    state = edge.to;
  }
  return isFinal[state];
}

const atom = fc.constantFrom(
  "a",
  "b",
  "é",
  "😀",
  ".",
  "[ab]",
  "[^a]",
  "[b-é]",
  "\\d",
  "\\D",
  "\\w",
  "\\W",
  "\\s",
  "\\S",
  "\\.",
  "\\n",
  "\\u0061",
  "\\u{1F600}",
  "\\x41",
  "(a|bc)",
  "(?:ab+)",
  "(?:a?)",
  "\\p{Lu}",
  "^",
  "$",
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?");
const branch = fc
  .array(fc.tuple(atom, quantifier), { maxLength: 5 })
  .map((parts) => parts.map(([a, q]) => (a === "^" || a === "$" ? a : a + q)).join(""));
const pattern = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join("|"));
const text = fc
  .array(fc.constantFrom("a", "b", "c", "é", "😀", "1", " ", "\n", "A", ".", "ab"), { maxLength: 7 })
  .map((parts) => parts.join(""));

describe("patterns", () => {
  it("take the texts that RegExp takes", () => {
    let tooLarge = 0;
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 20 }), (pattern, texts) => {
        if (/\^.*\^|\$.*\$/.test(pattern)) return; // an anchor twice in a row is a case of its own
        let automaton: CharAutomaton;
        try {
          automaton = patternAutomaton(pattern);
        } catch (error) {
          expect(String(error)).toMatch(/too large/);
          tooLarge++;
          return;
        }
        const expression = new RegExp(pattern, "u");
        for (const text of texts)
          expect([pattern, text, takes(automaton, text)]).toEqual([pattern, text, expression.test(text)]);
      }),
      { seed: 21, numRuns: 120 },
    );
    expect(tooLarge).toBeLessThan(6);
  });

  it("lead from every state to an end", () => {
    for (const pattern of ["^a{3}(b|c)*d$", "x[^x]*y", FORMATS.get("date") as string, FORMATS.get("email") as string]) {
      const { edges, isFinal } = patternAutomaton(pattern);
      const reached = new Set([...isFinal.keys()].filter((state) => isFinal[state]));
      for (let size = -1; size !== reached.size; ) {
        size = reached.size;
        for (const [state, list] of edges.entries()) if (list.some(({ to }) => reached.has(to))) reached.add(state);
      }
      for (const list of edges) for (const { to } of list) expect(reached.has(to)).toBe(true);
    }
  });

  it.each(["a(?=b)", "(?!a)b", "(?<=a)b", "(a)\\1", "\\bword", "a{9000}"])("refuses %s", (pattern) => {
    expect(() => patternAutomaton(pattern)).toThrow(PatternError);
  });

  it.each(["(", "[", "a**", "\\u{110000}"])("says that %s is malformed", (pattern) => {
    expect(() => patternAutomaton(pattern)).toThrow(/Invalid regular expression/);
  });
});
