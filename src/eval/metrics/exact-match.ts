/** Exact match, and the filters that bring an answer into a form that can match. Source: lmms-eval v0.3.0. */
import { pythonStrip } from "../../util/python-strip.ts";
import { ASCII_PUNCTUATION } from "../../util/python-text.ts";

export interface ExactMatchOptions {
  readonly ignoreCase?: boolean;
  readonly ignorePunctuation?: boolean;
}

/** Whether two texts are equal. Blanks at the ends count. */
export function isExactMatch(prediction: string, reference: string, options: ExactMatchOptions = {}): boolean {
  const normalised = (text: string): string => {
    const cased = options.ignoreCase ? text.toLowerCase() : text;
    return options.ignorePunctuation ? [...cased].filter((c) => !ASCII_PUNCTUATION.includes(c)).join("") : cased;
  };
  return normalised(prediction) === normalised(reference);
}

/** AI2D: the letter of "B. leaf"; anything else stays as it is. */
export function leadingLetter(response: string): string {
  return /^\s*([A-Z])\./u.exec(response)?.[1] ?? response;
}

/** SEED-Bench: the first character of the answer, "" when there is none. */
export function firstCharacter(response: string): string {
  return Array.from(pythonStrip(response))[0] ?? "";
}

const NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/** RealWorldQA, first filter: an answer that is a number word becomes its digits. */
export function numberWordToDigits(response: string): string {
  const value = NUMBER_WORDS.indexOf(response.toLowerCase());
  return value < 0 ? response : String(value);
}

/**
 * RealWorldQA, second filter: the letter of the option whose text stands in the answer, else the answer without punctuation.
 * KEEPS: option texts with punctuation never match, and short ones match inside longer words ("1" in "10").
 */
export function optionFromQuestion(response: string, question: string): string {
  const cleaned = pythonStrip(response.replace(/[^\p{L}\p{N}_\s]/gu, ""));
  const options = [...question.matchAll(/(?<![\p{L}\p{N}_])([A-Z])\.\s+([^\n]*)/gu)].map((match) =>
    pythonStrip(match[2]),
  );
  let best: { at: number; option: number } | null = null;
  for (const [option, text] of options.entries()) {
    const at = cleaned.indexOf(text);
    if (at >= 0 && (best === null || at < best.at)) best = { at, option };
  }
  return best === null ? cleaned : String.fromCharCode(65 + best.option);
}
