/** Overlap of words between an answer and its reference: PathVQA, MIMIC-VQA. Source: VILA `pathvqa.py`, VILA-M3 `evaluate_metrics.py`. */
import { asciiDigits } from "../../util/python-number.ts";
import { pythonWords } from "../../util/python-text.ts";
import { cleanVqaAnswer, SINGLE_COMMA, withoutArticles, withoutPunctuation } from "./evalai-normaliser.ts";
import { numberInWords } from "./number-words.ts";

export interface TokenOverlap {
  readonly f1: number;
  readonly precision: number;
  readonly recall: number;
  /** Distinct words of the reference that the answer has, over all words of the answer. */
  readonly overlap: number;
}

/**
 * Scores of an answer's words; all 0 when nothing is common or the answer has no words.
 * KEEPS: hits are counted with the answer's repetitions, so "liver liver" for "liver" is perfect.
 */
export function tokenOverlap(candidate: readonly string[], reference: readonly string[]): TokenOverlap {
  const wanted = new Set(reference);
  const given = new Set(candidate);
  const hits = candidate.filter((word) => wanted.has(word)).length;
  const misses = reference.filter((word) => !given.has(word)).length;
  const overlap = candidate.length === 0 ? 0 : [...wanted].filter((word) => given.has(word)).length / candidate.length;
  if (hits === 0) return { f1: 0, precision: 0, recall: 0, overlap };
  const precision = hits / candidate.length;
  const recall = hits / (hits + misses);
  return { f1: (2 * precision * recall) / (precision + recall), precision, recall, overlap };
}

/** PathVQA's words: numbers that stand alone spelt out, then only Latin letters, in lower case. */
export function pathVqaWords(text: string): string[] {
  const spelt = text.replace(/(?<![\p{L}\p{N}_])\p{Nd}+(?![\p{L}\p{N}_])/gu, (digits) =>
    numberInWords(BigInt(asciiDigits(digits))),
  );
  return pythonWords(spelt.replace(/[^a-zA-Z ]/g, "").toLowerCase());
}

/** MIMIC-VQA's form of an answer: VQA's without its first step. */
export function normaliseMimicAnswer(text: string): string {
  return withoutArticles(withoutPunctuation(cleanVqaAnswer(text), { groups: SINGLE_COMMA }));
}
