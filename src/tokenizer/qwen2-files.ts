/**
 * The files of a tokenizer folder of Qwen2's form around a vocabulary and its merge rules: special tokens behind the vocabulary, time
 * tokens behind them, the chat template of NVILA.
 */
import { assert } from "../util/assert.ts";
import { qwen2TokenizerJson } from "./qwen2-json.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

export interface Qwen2FilesOptions {
  /** Adds `[BOS]` and `[PAD]` behind the three special tokens of Qwen2. */
  readonly hasBosAndPad: boolean;
  /** `<t0>` … behind the special tokens, not special themselves. */
  readonly timeTokens: number;
  readonly modelMaxLength: number;
}

export interface Qwen2Parts extends Qwen2FilesOptions {
  /** Token → id, 0 … `firstSpecialId` − 1 without a gap. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Rules as "a b", best first. */
  readonly merges: readonly string[];
}

export type Qwen2TokenizerFiles = Required<Omit<TokenizerFiles, "chatTemplate">>;

const TEMPLATE =
  "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' }}{% endif %}" +
  "{% for message in messages if message['content'] is not none %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The files, parsed. The vocabulary's size is the id of `<|endoftext|>`. */
export function qwen2TokenizerFiles(parts: Qwen2Parts): Qwen2TokenizerFiles {
  const { vocab, merges, hasBosAndPad, timeTokens, modelMaxLength } = parts;
  const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", ...(hasBosAndPad ? ["[BOS]", "[PAD]"] : [])];
  assert(!special.some((token) => vocab.has(token)), "a special token is in the vocabulary");
  const times = Array.from({ length: timeTokens }, (_, t) => `<t${t}>`);
  const added = [...special, ...times].map((content, i) => ({
    id: vocab.size + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: i < special.length,
  }));
  const named = { eos_token: "<|im_end|>", pad_token: hasBosAndPad ? "[PAD]" : "<|endoftext|>" };
  return {
    tokenizerJson: qwen2TokenizerJson({ vocab: Object.fromEntries(vocab), merges, addedTokens: added }),
    tokenizerConfig: {
      tokenizer_class: "Qwen2Tokenizer",
      add_prefix_space: false,
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
      additional_special_tokens: ["<|im_start|>", "<|im_end|>"],
      bos_token: hasBosAndPad ? "[BOS]" : null,
      ...named,
      unk_token: null,
      chat_template: TEMPLATE,
      clean_up_tokenization_spaces: false,
      errors: "replace",
      model_max_length: modelMaxLength,
      padding_side: "right",
      split_special_tokens: false,
    },
    addedTokens: Object.fromEntries(added.map(({ content, id }) => [content, id])),
    specialTokensMap: { additional_special_tokens: ["<|im_start|>", "<|im_end|>"], ...named },
  };
}
