/**
 * A tokenizer of Qwen2's form without Qwen2's vocabulary, for models with random weights: the 256 bytes at their usual ids, the words of
 * the chat template as one token each, so that a prompt costs what it costs with the real one, and pronounceable noise for all other ids,
 * so that answers are readable. Any text encodes, mostly byte by byte.
 */
import { assert } from "../util/assert.ts";
import { CHAR_OF_BYTE } from "./byte-level.ts";
import { type Qwen2FilesOptions, type Qwen2TokenizerFiles, qwen2TokenizerFiles } from "./qwen2-files.ts";

export interface RandomTokenizerOptions extends Qwen2FilesOptions {
  /** Id of `<|endoftext|>`; all ids below are bytes and words. At least 400. */
  readonly firstSpecialId: number;
}

/** Words of the chat template in the order of their merges; Ġ is the space. Each is built from left to right. */
const TEMPLATE_WORDS = ["Ġa", "Ġare", "Ġhelpful", "Ġassistant", "assistant", "system", "user", "You"];

const CONSONANTS = "bdfghjklmnprstvz";
const VOWELS = "aeiou";

/** The files of a tokenizer folder, parsed. */
export function randomTokenizerFiles(options: RandomTokenizerOptions): Qwen2TokenizerFiles {
  const { vocab, merges } = makeVocabulary(options.firstSpecialId);
  return qwen2TokenizerFiles({ ...options, vocab, merges });
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
