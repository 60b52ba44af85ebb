/** Reads the files of a tokenizer folder as they lie there; what they mean is read in tokenizer/tokenizer-files.ts. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject } from "../checkpoint/config-files.ts";
import { parseMergesText, qwen2TokenizerJson } from "../tokenizer/qwen2-json.ts";
import type { TokenizerFiles } from "../tokenizer/tokenizer-files.ts";
import { parseTokenizerJson } from "../tokenizer/vocabulary-text.ts";
import { ConfigError } from "../util/errors.ts";
import { readJsonFile, readTextFile } from "./json-file.ts";

/**
 * The tokenizer of the first folder that has `tokenizer_config.json`.
 * @throws ConfigError when none has one, or a file is damaged.
 */
export function findTokenizerFiles(folders: readonly string[]): TokenizerFiles {
  const folder = folders.find((candidate) => existsSync(join(candidate, "tokenizer_config.json")));
  if (folder === undefined) {
    throw new ConfigError("checkpoint", `expected tokenizer_config.json in ${folders.join(" or ")}, got none`);
  }
  const json = (name: string): unknown => readJsonFile(join(folder, name));
  const has = (name: string): boolean => existsSync(join(folder, name));
  const tokenizerConfig = json("tokenizer_config.json");
  const chatTemplate = findChatTemplate(folder, tokenizerConfig);
  return {
    tokenizerJson: has("tokenizer.json")
      ? readJsonFile(join(folder, "tokenizer.json"), parseTokenizerJson)
      : jsonFromVocabulary(folder),
    tokenizerConfig,
    ...(has("added_tokens.json") && { addedTokens: json("added_tokens.json") }),
    ...(has("special_tokens_map.json") && { specialTokensMap: json("special_tokens_map.json") }),
    ...(chatTemplate !== null && { chatTemplate }),
  };
}

/** Some checkpoints bring the files of the slow tokenizer only. Every language model of NVILA is a Qwen2, so those are enough. */
function jsonFromVocabulary(folder: string): object {
  const vocabPath = join(folder, "vocab.json");
  const mergesPath = join(folder, "merges.txt");
  if (!existsSync(vocabPath) || !existsSync(mergesPath)) {
    throw new ConfigError("checkpoint", `expected tokenizer.json, or vocab.json and merges.txt, in ${folder}`);
  }
  const vocab = readJsonFile(vocabPath);
  if (!isJsonObject(vocab)) throw new ConfigError("checkpoint", `expected an object in ${vocabPath}`);
  return qwen2TokenizerJson({ vocab, merges: parseMergesText(readTextFile(mergesPath)), addedTokens: [] });
}

/** A template in a file of its own; the one that processors write counts only when there is no other. */
function findChatTemplate(folder: string, tokenizerConfig: unknown): string | null {
  const jinjaPath = join(folder, "chat_template.jinja");
  if (existsSync(jinjaPath)) return readTextFile(jinjaPath);
  const jsonPath = join(folder, "chat_template.json");
  const hasOther = isJsonObject(tokenizerConfig) && tokenizerConfig.chat_template;
  if (hasOther || !existsSync(jsonPath)) return null;
  const value = readJsonFile(jsonPath);
  if (isJsonObject(value) && typeof value.chat_template === "string") return value.chat_template;
  throw new ConfigError("checkpoint", `expected a text chat_template in ${jsonPath}`);
}
