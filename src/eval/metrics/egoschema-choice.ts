/** The chosen letter of EgoSchema as lmms-eval v0.3.0 reads it (`egoschema/utils.py`). */
import { lettersByContent, optionLetters, paddedResponse } from "./choice-search.ts";

/**
 * The letter that `response` names, the earliest when there are several; null when none was found (the original then guesses).
 * KEEPS: positions of all three patterns are listed one after the other and compared with the letters by rank in that list,
 * so a letter that lacks one pattern (position −1) wins over letters that have it.
 */
export function parseEgoSchemaChoice(response: string, options: readonly string[]): string | null {
  const letters = optionLetters(options.length);
  const padded = paddedResponse(response);
  const patterns = [(l: string) => `(${l})`, (l: string) => `${l} `, (l: string) => `${l}.`];
  const found = patterns.map((pattern) => letters.filter((letter) => padded.includes(pattern(letter))));
  let candidates = found.flat();
  let positions: number[] = [];
  if (candidates.length > 0) {
    const used = patterns.filter((_, i) => found[i].length > 0);
    positions = used.flatMap((pattern) => candidates.map((letter) => padded.lastIndexOf(pattern(letter))));
  } else {
    candidates = lettersByContent(padded, letters, options);
    const lower = padded.toLowerCase();
    positions = candidates.map((letter) => lower.lastIndexOf(options[letters.indexOf(letter)].toLowerCase()));
  }
  if (candidates.length <= 1) return candidates[0] ?? null;
  return candidates[positions.indexOf(Math.min(...positions))] ?? null;
}
