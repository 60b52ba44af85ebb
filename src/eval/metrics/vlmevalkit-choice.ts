/** The chosen letter as VLMEvalKit infers it before it asks a judge. Source: VLMEvalKit e8e78f0 `matching_util.py`. */
import { pythonLength, pythonWords } from "../../util/python-text.ts";
import { optionLetters } from "./choice-search.ts";

const REFUSALS = [
  "Sorry, I can't help with images of people yet.",
  "I can't process this file.",
  "I'm sorry, but without the image provided",
  "Cannot determine the answer",
];
/** A letter counts only among the last so many words. */
const LAST_WORDS = 4;

/** The letter of the only option named as a word, "Z" for a refusal, null where a judge would be asked. Small letters count only after "answer is". */
export function inferOption(response: string, options: readonly string[]): string | null {
  if (response.includes("Failed to obtain answer via API")) return null;
  if (REFUSALS.some((refusal) => response.includes(refusal))) return "Z";
  const stated = /\banswer is ([a-z])\b/.exec(response)?.[1].toUpperCase();
  if (stated !== undefined && optionLetters(options.length).includes(stated)) return stated;
  const words = pythonWords(response.replace(/[.()[\],:;!*#{}]/g, " "));
  const named = optionLetters(options.length).filter((letter) => words.includes(letter));
  if (named.length === 1) return words.indexOf(named[0]) > words.length - LAST_WORDS - 1 ? named[0] : null;
  return named.length === 0 && words.includes("Z") ? "Z" : null;
}

/** `inferOption`, else the only option whose text stands in a response that is not much longer than the options. */
export function inferChoice(response: string, options: readonly string[]): string | null {
  const letter = inferOption(response, options);
  if (letter !== null) return letter;
  const texts = options.map((option) => option.toLowerCase());
  const total = texts.reduce((sum, text) => sum + pythonLength(text), 0);
  if (pythonLength(response) > 2 * total) return null;
  const named = optionLetters(options.length).filter((_, i) => response.toLowerCase().includes(texts[i]));
  return named.length === 1 ? named[0] : null;
}
