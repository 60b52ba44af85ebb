/** Two dialects of finding a chosen letter in free text that share their steps: MMMU's, and VILA's stricter one. */
import { pythonWords, stripCharacters } from "../../util/python-text.ts";

/** KEEPS: stripped one after the other, so "A.," loses both but ",.A" only its comma. */
const STRIPPED = [",", ".", "!", "?", ";", ":", "'"];
/** Answers of more words than this are searched for the options' texts. */
const MAX_WORDS_WITHOUT_CONTENT = 5;

export interface ChoicePatterns {
  /** Tried after `(A)`; the first that finds a letter decides. */
  readonly patterns: readonly ((letter: string) => string)[];
}

/** The letters A, B, C … of `count` options. */
export function optionLetters(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String.fromCharCode(65 + i));
}

/** A response without the marks at its ends, between two blanks. */
export function paddedResponse(response: string): string {
  return ` ${STRIPPED.reduce(stripCharacters, response)} `;
}

/** Letters whose option text stands in a response that is long enough to be a sentence. */
export function lettersByContent(padded: string, letters: readonly string[], texts: readonly string[]): string[] {
  if (pythonWords(padded).length <= MAX_WORDS_WITHOUT_CONTENT) return [];
  return letters.filter((_, i) => texts[i] !== undefined && padded.toLowerCase().includes(texts[i].toLowerCase()));
}

/**
 * The letter that a response chooses, the last one named when there are several; null when nothing was found
 * (where the originals guess at random).
 */
export function searchChoice(
  response: string,
  letters: readonly string[],
  texts: readonly string[],
  { patterns }: ChoicePatterns,
): string | null {
  const padded = paddedResponse(response);
  const bracketed = letters.filter((letter) => padded.includes(`(${letter})`));
  if (bracketed.length > 0) return latest(bracketed, (letter) => padded.lastIndexOf(`(${letter})`));
  for (const pattern of patterns) {
    const found = letters.filter((letter) => padded.includes(pattern(letter)));
    if (found.length > 0) return latest(found, (letter) => padded.lastIndexOf(` ${letter} `));
  }
  const lower = padded.toLowerCase();
  const byContent = lettersByContent(padded, letters, texts);
  return latest(byContent, (letter) => lower.lastIndexOf(texts[letters.indexOf(letter)].toLowerCase()));
}

function latest(letters: readonly string[], position: (letter: string) => number): string | null {
  let best: string | null = null;
  let at = Number.NEGATIVE_INFINITY;
  for (const letter of letters) {
    const here = position(letter);
    if (here > at) [best, at] = [letter, here];
  }
  return best;
}
