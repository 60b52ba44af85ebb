/** The chosen letter of VILA's own tasks (EgoSchema, CinePile, VNBench). Source: VILA `parse_choice` at b760c34. */
import { optionLetters, searchChoice } from "./choice-search.ts";

/**
 * One of the first `count` letters; null when none was found (the original then guesses).
 * KEEPS: the letter needs a blank on both sides or brackets, so "A. red" finds nothing.
 *
 * @param texts The options' texts; long answers are searched for them when given.
 */
export function parseVilaChoice(response: string, count: number, texts: readonly string[] = []): string | null {
  return searchChoice(response, optionLetters(count), texts, { patterns: [(letter) => ` ${letter} `] });
}
