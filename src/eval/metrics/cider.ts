/**
 * CIDEr (in fact CIDEr-D) of a corpus. Source: pycocoevalcap ad63453 `cider_scorer.py`. Words are split at white space.
 * Weights depend on the corpus: always score a whole split in one call; a corpus of one item scores 0.
 */
import { pythonWords } from "../../util/python-text.ts";
import { type CaptionItem, countNgrams } from "./ngrams.ts";

const MAX_N = 4;
const SIGMA = 6;

interface Weighted {
  readonly weights: Map<string, { n: number; weight: number }>;
  readonly norms: number[];
  /** KEEPS: the "length" is the number of pairs of words, by an accident of indices. */
  readonly length: number;
}

/** Mean over items, and each item's score (0 … 10). */
export function cider(items: readonly CaptionItem[]): { corpus: number; perItem: number[] } {
  const frequency = new Map<string, number>();
  for (const { references } of items) {
    const seen = new Set(references.flatMap((text) => [...countNgrams(pythonWords(text), MAX_N).keys()]));
    for (const ngram of seen) frequency.set(ngram, (frequency.get(ngram) ?? 0) + 1);
  }
  const logItems = Math.log(items.length);
  const weighted = (text: string): Weighted => {
    const weights = new Map<string, { n: number; weight: number }>();
    const squares = [0, 0, 0, 0];
    let length = 0;
    for (const [ngram, { n, count }] of countNgrams(pythonWords(text), MAX_N)) {
      const weight = count * (logItems - Math.log(Math.max(1, frequency.get(ngram) ?? 0)));
      weights.set(ngram, { n, weight });
      squares[n - 1] += weight ** 2;
      if (n === 2) length += count;
    }
    return { weights, norms: squares.map(Math.sqrt), length };
  };
  const perItem = items.map(({ hypothesis, references }) => {
    const candidate = weighted(hypothesis);
    const sum = references.reduce((total, reference) => total + similarity(candidate, weighted(reference)), 0);
    return (sum / references.length) * 10;
  });
  return { corpus: perItem.reduce((a, b) => a + b, 0) / items.length, perItem };
}

function similarity(candidate: Weighted, reference: Weighted): number {
  const dot = [0, 0, 0, 0];
  for (const [ngram, { n, weight }] of candidate.weights) {
    const other = reference.weights.get(ngram)?.weight ?? 0;
    dot[n - 1] += Math.min(weight, other) * other;
  }
  const gap = Math.exp(-((candidate.length - reference.length) ** 2) / (2 * SIGMA ** 2));
  const cosines = dot.map((value, n) => {
    const norm = candidate.norms[n] * reference.norms[n];
    return (norm === 0 ? value : value / norm) * gap;
  });
  return cosines.reduce((a, b) => a + b, 0) / MAX_N;
}
