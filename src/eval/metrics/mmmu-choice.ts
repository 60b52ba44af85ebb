/** The chosen letter of MMMU, MMMU-Pro and NExT-QA. Source: lmms-eval v0.3.0 `mmmu/utils.py` `parse_multi_choice_response`. */
import { optionLetters, searchChoice } from "./choice-search.ts";

/**
 * The letter of one of `options` that `response` names; null when none was found (the original then guesses).
 * KEEPS: a letter at the end of a word counts, so "NBA" chooses A.
 */
export function parseMmmuChoice(response: string, options: readonly string[]): string | null {
  const patterns = [(letter: string) => `${letter} `, (letter: string) => `${letter}.`];
  return searchChoice(response, optionLetters(options.length), options, { patterns });
}
