/**
 * Chosen letters that are the first capital in sight once stock phrases are gone: Video-MME and MLVU, LongVideoBench, PerceptionTest.
 * Source: lmms-eval v0.3.0, the task files of these names.
 */
import { pythonStrip } from "../../util/python-strip.ts";
import { pythonWords } from "../../util/python-text.ts";

const MAX_WORDS = 10;
const BEFORE_LISTS = ["The best answer is", "The correct answer is", "The answer is", "The answer"];
const OPTION_PHRASES = ["The best option is", "The correct option is", "Best answer:", "Best option:"];

/**
 * Video-MME, MLVU: A–D, "" when none was found.
 * KEEPS: missing commas in the source glue four phrases into two, so "Best answer: C" chooses B; "Cannot tell" chooses C.
 */
export function parseVideoMmeChoice(response: string): string {
  const glued = [OPTION_PHRASES[0] + OPTION_PHRASES[1], OPTION_PHRASES[2] + OPTION_PHRASES[3]];
  return firstLetter(response, [...BEFORE_LISTS, ...glued], "ABCD");
}

/** LongVideoBench: A–E; null when none was found (the original then guesses). */
export function parseLongVideoBenchChoice(response: string): string | null {
  return firstLetter(response, [...BEFORE_LISTS, ...OPTION_PHRASES], "ABCDE") || null;
}

/** PerceptionTest: position of the first A–D that stands alone, −1 when there is none. */
export function parsePerceptionTestChoice(response: string): number {
  const letter = /(?<![\p{L}\p{N}_])[A-D](?![\p{L}\p{N}_])/u.exec(response)?.[0];
  return letter === undefined ? -1 : letter.charCodeAt(0) - 65;
}

function firstLetter(response: string, phrases: readonly string[], letters: string): string {
  let text = pythonStrip(response);
  for (const phrase of phrases) text = text.replaceAll(phrase, "");
  const at = [...text].find((char) => letters.includes(char));
  if (pythonWords(text).length > MAX_WORDS && at === undefined) return "";
  return at ?? "";
}
