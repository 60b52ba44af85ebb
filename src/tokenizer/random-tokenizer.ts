/**
 * A tokenizer of Qwen2's form without Qwen2's vocabulary, for models with random weights: the 256 bytes at their usual ids, the words of
 * the chat template as one token each, so that a prompt costs what it costs with the real one, and pronounceable noise for all other ids,
 * so that answers are readable. Any text encodes, mostly byte by byte.
 */
import { assert } from "../util/assert.ts";
import { CHAR_OF_BYTE } from "./byte-level.ts";
import { qwen2TokenizerJson } from "./qwen2-json.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

export interface RandomTokenizerOptions {
  /** Id of `<|endoftext|>`; all ids below are bytes and words. At least 400. */
  readonly firstSpecialId: number;
  /** Adds `[BOS]` and `[PAD]` behind the three special tokens of Qwen2. */
  readonly hasBosAndPad: boolean;
  /** `<t0>` … behind the special tokens, not special themselves. */
  readonly timeTokens: number;
  readonly modelMaxLength: number;
}

/** Words of the chat template in the order of their merges; Ġ is the space. Each is built from left to right. */
const TEMPLATE_WORDS = ["Ġa", "Ġare", "Ġhelpful", "Ġassistant", "assistant", "system", "user", "You"];

const TEMPLATE =
  "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' }}{% endif %}" +
  "{% for message in messages if message['content'] is not none %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const CONSONANTS = "bdfghjklmnprstvz";
const VOWELS = "aeiou";

/** The files of a tokenizer folder, parsed. */
export function randomTokenizerFiles(options: RandomTokenizerOptions): Required<Omit<TokenizerFiles, "chatTemplate">> {
  const { firstSpecialId, hasBosAndPad, timeTokens, modelMaxLength } = options;
  const { vocab, merges } = makeVocabulary(firstSpecialId);
  const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", ...(hasBosAndPad ? ["[BOS]", "[PAD]"] : [])];
  const times = Array.from({ length: timeTokens }, (_, t) => `<t${t}>`);
  const added = [...special, ...times].map((content, i) => ({
    id: firstSpecialId + i,
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

function makeVocabulary(size: number): { vocab: Map<string, number>; merges: string[] } {
  const vocab = new Map<string, number>();
  // In the order of GPT-2: printable characters first, which puts the newline at 198.
  for (const char of [...CHAR_OF_BYTE].sort()) vocab.set(char, vocab.size);
  const merges: string[] = [];
  for (const word of TEMPLATE_WORDS) {
    for (let end = 2; end <= word.length; end++) {
      if (vocab.has(word.slice(0, end))) continue;
      merges.push(`${word.slice(0, end - 1)} ${word[end - 1]}`);
      vocab.set(word.slice(0, end), vocab.size);
    }
  }
  assert(vocab.size <= size, `a vocabulary of ${size} is too small for ${vocab.size} tokens`);
  for (let number = 0; vocab.size < size; number++) {
    const word = `Ġ${pseudoWord(number)}`;
    if (!vocab.has(word)) vocab.set(word, vocab.size);
  }
  return { vocab, merges };
}

/** Syllables of a consonant and a vowel: the digits of `number`, at least two. */
function pseudoWord(number: number): string {
  let word = "";
  let rest = number;
  while (rest > 0 || word.length < 4) {
    const syllable = rest % (CONSONANTS.length * VOWELS.length);
    word = CONSONANTS[Math.floor(syllable / VOWELS.length)] + VOWELS[syllable % VOWELS.length] + word;
    rest = Math.floor(rest / (CONSONANTS.length * VOWELS.length));
  }
  return word;
}
