/** Masks against their definition: every token on its own, byte by byte through a fresh matcher. */
import { describe, expect, it } from "vitest";
import type { ConstraintSpec } from "../../src/engine/token-constraint.ts";
import { createConstraintCompiler } from "../../src/grammar/answer-constraint.ts";
import { answerRules } from "../../src/grammar/answer-rules.ts";
import { Matcher, type Position } from "../../src/grammar/matcher.ts";
import { TokenTrie } from "../../src/grammar/token-trie.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { UnsupportedError } from "../../src/util/errors.ts";
import { Random } from "../../src/util/random.ts";
import { smallTokenizer } from "./qwen-tokenizer.ts";
import { SchemaMaker } from "./random-schema.ts";

/** A vocabulary with many tokens of JSON's punctuation, so that tokens leave rules in all ways. */
function punctuated(tokenizer: Tokenizer, random: Random): { bytes: Uint8Array; offsets: Uint32Array } {
  const pieces = [
    '"',
    '":',
    '": ',
    '","',
    '":"',
    "{",
    '{"',
    "}",
    "}}",
    "[",
    "]",
    "],",
    ",",
    ", ",
    "\n",
    "\n  ",
    "1",
    "12",
    ".5",
    "e",
    "null",
    "true",
    "a",
    "ab",
    "\\",
    '\\"',
    "\\u",
    "d8",
    "é",
    "😀",
    "name",
    "k0",
  ];
  const tokens = Array.from({ length: 700 }, () => {
    const count = 1 + (random.nextUint32() % 3);
    return Array.from({ length: count }, () => pieces[random.nextUint32() % pieces.length]).join("");
  });
  const { bytes, offsets } = tokenizer.vocabulary();
  const own = Array.from({ length: 256 }, (_, id) => bytes.slice(offsets[id], offsets[id + 1])); // all bytes
  const all = [...own, ...tokens.map((token) => new TextEncoder().encode(token))];
  const joined = Uint8Array.from(all.flatMap((token) => [...token]));
  let at = 0;
  return { bytes: joined, offsets: Uint32Array.from([0, ...all.map((token) => (at += token.length))]) };
}

describe("token masks", () => {
  it("hold exactly the tokens whose bytes may come and leave enough for the end", () => {
    const random = new Random(5);
    const vocabulary = punctuated(smallTokenizer(), random);
    const stopIds = new Set([3000]);
    const constraintFor = createConstraintCompiler(vocabulary, stopIds);
    const ids = vocabulary.offsets.length - 1;
    const trie = new TokenTrie(vocabulary, stopIds);
    let checked = 0;
    for (let seed = 0; seed < 12; seed++) {
      const schema = new SchemaMaker(new Random(seed + 5000)).schema();
      const spec: ConstraintSpec = seed % 8 === 0 ? { kind: "json_object" } : { kind: "json_schema", schema };
      const constraint = constraintFor(spec);
      const matcher = new Matcher();
      const { start } = answerRules(spec, trie);
      let position: Position = matcher.start(start);
      const follow = (id: number): Position | null => {
        let at: Position | null = position;
        for (let i = vocabulary.offsets[id]; i < vocabulary.offsets[id + 1] && at; i++)
          at = matcher.step(at, vocabulary.bytes[i]);
        return at;
      };
      for (let step = 0; step < 25 && !constraint.isFinal; step++) {
        expect(constraint.tokensNeeded).toBe(position.cost);
        const left = random.nextUint32() % 3 === 0 ? Math.max(1, constraint.tokensNeeded) : 300;
        const bits = constraint.allowed(left);
        const has = (id: number): boolean => ((bits[id >>> 5] >>> (id & 31)) & 1) === 1;
        const allowed: number[] = [];
        for (let id = 0; id < ids; id++) {
          const next = follow(id);
          const isAllowed = next !== null && next.cost <= left - 1;
          // A token that ends one extra key and begins the next is left out; its bytes may come one by one.
          if (has(id) !== isAllowed) {
            const token = new TextDecoder().decode(
              vocabulary.bytes.subarray(vocabulary.offsets[id], vocabulary.offsets[id + 1]),
            );
            expect([seed, step, token, "too much"]).toEqual([seed, step, token, has(id) ? "allowed" : "too much"]);
            expect(token).toMatch(/".*:.*,/);
          } else if (isAllowed) allowed.push(id);
        }
        checked += allowed.length;
        const id = allowed[random.nextUint32() % allowed.length];
        constraint.accept(id);
        position = follow(id) as Position;
      }
    }
    expect(checked).toBeGreaterThan(3000);
  }, 120_000);

  it("refuse a vocabulary in which a byte has no token", () => {
    const vocabulary = { bytes: new TextEncoder().encode("ab"), offsets: Uint32Array.of(0, 1, 2) };
    expect(() => createConstraintCompiler(vocabulary, new Set())).toThrow(UnsupportedError);
  });
});
