/** A tokenizer.json read the fast way is what JSON.parse makes of it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTokenizerJson } from "./vocabulary-text.ts";

/** As JSON.parse gives it. */
function plain(value: unknown): unknown {
  const json = value as { model?: { vocab?: unknown } };
  if (json?.model?.vocab instanceof Map) json.model.vocab = Object.fromEntries(json.model.vocab);
  return json;
}

const isFast = (value: unknown): boolean => (value as { model: { vocab: unknown } }).model.vocab instanceof Map;

describe("parseTokenizerJson", () => {
  it("reads any tokens, in any layout", () => {
    const tokens = fc.string({ unit: "binary", maxLength: 30 }).filter((token) => token !== "__proto__");
    const vocabularies = fc.dictionary(tokens, fc.nat(2 ** 24));
    fc.assert(
      fc.property(vocabularies, fc.constantFrom(undefined, 1, "\t"), (vocab, space) => {
        const file = {
          added_tokens: [{ id: 1, content: '"vocab": {' }],
          model: { type: "BPE", vocab, merges: ["a b"] },
        };
        const text = JSON.stringify(file, null, space);
        const read = parseTokenizerJson(text);
        expect(isFast(read)).toBe(true);
        expect(plain(read)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    '{"model":{"vocab":{"a":-1}}}',
    '{"model":{"vocab":{"a":1.5}}}',
    '{"model":{"vocab":{"a":1e3}}}',
    '{"model":{"vocab":{"a":"1"}}}',
    '{"model":{"vocab":{"a":{"b":1}}}}',
    '{"model":{"vocab":{"a":12345678901234567890}}}',
    '{"vocab":{"a":1},"model":{"vocab":{"b":2}}}',
    '{"model":{"vocab":{"a":1},"vocab":{"b":2}}}',
    '{"vocab":{"a":1}}',
    '{"model":null,"x":{"vocab":{}}}',
    '{"model":[{"vocab":{"a":1}}]}',
    "[1]",
    "null",
  ])("leaves %s to JSON.parse", (text) => {
    expect(parseTokenizerJson(text)).toEqual(JSON.parse(text));
  });

  it.each([
    '{"model":{"vocab":{"a":1,}}}',
    '{"model":{"vocab":{"a":01}}}',
    '{"model":{"vocab":{"a":1',
    '{"model":{"vocab":{"a',
    '{"model":{"vocab":{"a\nb":1}}}',
    '{"model":{"vocab":{"\\x":1}}}',
    '{"model":{"vocab":{,}}}',
    '{"model":{"vocab":{"a":1}}',
  ])("refuses %s as JSON.parse does", (text) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(() => parseTokenizerJson(text)).toThrow(SyntaxError);
  });
});
