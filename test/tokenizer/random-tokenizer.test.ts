/** The tokenizer of random checkpoints: real ids where they matter, any text there and back. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomTokenizerFiles } from "../../src/tokenizer/random-tokenizer.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";

const small = createTokenizer(
  randomTokenizerFiles({ firstSpecialId: 400, hasBosAndPad: true, timeTokens: 3, modelMaxLength: 100 }),
);

describe("randomTokenizerFiles", () => {
  it("has the special tokens of NVILA-8B at their ids", () => {
    const tokens = createTokenizer(
      randomTokenizerFiles({ firstSpecialId: 151643, hasBosAndPad: true, timeTokens: 0, modelMaxLength: 8192 }),
    );
    const ids = [
      "<|endoftext|>",
      "<|im_start|>",
      "<|im_end|>",
      "[BOS]",
      "[PAD]",
      "<vila/sentinel>",
      "<image>",
      "<vila/video>",
    ];
    expect(ids.map((token) => tokens.idOf(token))).toEqual(ids.map((_, i) => 151643 + i));
    expect([...tokens.stopIds]).toEqual([151645]);
    expect([tokens.length, tokens.modelMaxLength]).toEqual([151651, 8192]);
    const noise = tokens.decode([1000, 50_000, 100_000, 151_642]);
    expect(noise).toMatch(/^( ([bdfghjklmnprstvz][aeiou]){2,3}){4}$/);
    const words = Array.from({ length: 3000 }, (_, i) => tokens.decode([500 + 50 * i]));
    expect(new Set(words).size).toBe(3000);
  });

  it("makes a prompt as long as the real tokenizer does", () => {
    const text = small.applyChatTemplate([{ role: "user", content: "?" }], { addGenerationPrompt: true });
    expect(text).toBe(
      "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n",
    );
    const ids = small.encode(text);
    expect(ids.length).toBe(18 + 1);
    expect(ids[2]).toBe(198); // the newline, as in Qwen2
  });

  it("keeps time tokens in answers", () => {
    const ids = small.encode("<t0> to <t2><|im_end|>");
    expect([ids[0], ids.at(-2), ids.at(-1)]).toEqual([405, 407, small.eosId]);
    expect(small.decode(ids, { skipSpecialTokens: true })).toBe("<t0> to <t2>");
  });

  it("encodes any text there and back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
        const plain = text.normalize("NFC");
        expect(small.decode(small.encode(plain))).toBe(plain);
      }),
      { numRuns: 150 },
    );
  });
});
