/** BLEU-1 … 4 of a corpus, closest reference length. Source: pycocoevalcap ad63453 `bleu_scorer.py`. Words are split at white space. */
import { pythonWords } from "../../util/python-text.ts";
import { type CaptionItem, countNgrams } from "./ngrams.ts";

const MAX_N = 4;
/** KEEPS: the original's guards against 0 / 0. */
const TINY = 1e-15;
const SMALL = 1e-9;

export interface BleuScores {
  /** BLEU-1 … 4 of the whole corpus. */
  readonly corpus: number[];
  /** `perItem[n − 1][i]`: BLEU-n of item i. */
  readonly perItem: number[][];
}

interface Counts {
  readonly correct: number[];
  readonly guess: number[];
  testLength: number;
  referenceLength: number;
}

export function bleu(items: readonly CaptionItem[]): BleuScores {
  const total: Counts = { correct: [0, 0, 0, 0], guess: [0, 0, 0, 0], testLength: 0, referenceLength: 0 };
  const perItem: number[][] = [[], [], [], []];
  for (const item of items) {
    const counts = countItem(item);
    for (const [n, score] of scores(counts).entries()) perItem[n].push(score);
    for (let n = 0; n < MAX_N; n++) {
      total.correct[n] += counts.correct[n];
      total.guess[n] += counts.guess[n];
    }
    total.testLength += counts.testLength;
    total.referenceLength += counts.referenceLength;
  }
  return { corpus: scores(total), perItem };
}

function countItem({ hypothesis, references }: CaptionItem): Counts {
  const words = pythonWords(hypothesis);
  const referenceWords = references.map(pythonWords);
  const most = new Map<string, number>();
  for (const reference of referenceWords) {
    for (const [ngram, { count }] of countNgrams(reference, MAX_N))
      most.set(ngram, Math.max(most.get(ngram) ?? 0, count));
  }
  const correct = [0, 0, 0, 0];
  for (const [ngram, { n, count }] of countNgrams(words, MAX_N))
    correct[n - 1] += Math.min(count, most.get(ngram) ?? 0);
  const closest = referenceWords
    .map((reference) => reference.length)
    .sort((a, b) => Math.abs(a - words.length) - Math.abs(b - words.length) || a - b)[0];
  return {
    correct,
    guess: correct.map((_, n) => Math.max(0, words.length - n)),
    testLength: words.length,
    referenceLength: closest,
  };
}

function scores({ correct, guess, testLength, referenceLength }: Counts): number[] {
  const ratio = (testLength + TINY) / (referenceLength + SMALL);
  const brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  let product = 1;
  return correct.map((hits, n) => {
    product *= (hits + TINY) / (guess[n] + SMALL);
    return product ** (1 / (n + 1)) * brevity;
  });
}
