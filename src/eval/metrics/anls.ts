/**
 * Average normalised Levenshtein similarity (ANLS) of short answers: DocVQA, InfographicVQA, ST-VQA.
 * Source: lmms-eval v0.3.0 `api/metrics.py` `anls` and VILA `STVQAANLSEvaluator` at b760c34.
 */
import { pythonStrip } from "../../util/python-strip.ts";
import { pythonLength, pythonWords } from "../../util/python-text.ts";
import { levenshtein } from "./edit-distance.ts";

const THRESHOLD = 0.5;

/**
 * Similarity 0 … 1 of an answer to the nearest of its references, 0 below one half; no references at all give 0.
 * KEEPS: the divisor is the length of the raw texts in upper case, although blanks were removed before comparing.
 */
export function anls(references: readonly string[], prediction: string): number {
  let nearest = 1;
  for (const reference of references) {
    const length = Math.max(pythonLength(reference.toUpperCase()), pythonLength(prediction.toUpperCase()));
    const distance = levenshtein(normalised(reference), normalised(prediction));
    nearest = Math.min(nearest, length === 0 ? 0 : distance / length);
  }
  return 1 - nearest < THRESHOLD ? 0 : 1 - nearest;
}

/**
 * The older form (ST-VQA and its server): lower case and stripped, the best reference counts.
 * DIFFERS: two empty texts are equal; the original divides by zero.
 */
export function anlsClassic(references: readonly string[], prediction: string): number {
  const answer = pythonStrip(prediction.toLowerCase());
  const scores = references.map((reference) => {
    const gold = pythonStrip(reference.toLowerCase());
    const length = Math.max(pythonLength(gold), pythonLength(answer));
    const similarity = length === 0 ? 1 : 1 - levenshtein(gold, answer) / length;
    return similarity < THRESHOLD ? 0 : similarity;
  });
  return Math.max(0, ...scores);
}

function normalised(text: string): string {
  return pythonWords(text.toLowerCase()).join(" ");
}
