/**
 * ROUGE-1, -2 and -L as the `rouge` package of Python computes them (ALFRED, nuScenes). Source: pltrdy/rouge c1b90a7.
 * N-grams are sets; ROUGE-L is taken sentence by sentence, sentences ending at periods.
 */
import { pythonWords } from "../../util/python-text.ts";
import { lcsTable } from "./ngrams.ts";

export interface RougeScore {
  readonly recall: number;
  readonly precision: number;
  readonly f: number;
}

/** Scores of a text against one reference; null when either holds no sentence (the package then raises). */
export function rougePackage(
  hypothesis: string,
  reference: string,
): { rouge1: RougeScore; rouge2: RougeScore; rougeL: RougeScore } | null {
  const candidate = sentences(hypothesis);
  const wanted = sentences(reference);
  if (candidate.length === 0 || wanted.length === 0) return null;
  return {
    rouge1: ngramScore(candidate, wanted, 1),
    rouge2: ngramScore(candidate, wanted, 2),
    rougeL: summaryScore(candidate, wanted),
  };
}

function sentences(text: string): string[][] {
  return text
    .split(".")
    .filter((part) => part.length > 0)
    .map((part) => pythonWords(part).join(" ").split(" "));
}

function ngramScore(candidate: readonly string[][], wanted: readonly string[][], n: number): RougeScore {
  const ngrams = (parts: readonly string[][]): Set<string> => {
    const words = parts.flat();
    return new Set(
      Array.from({ length: Math.max(0, words.length - n + 1) }, (_, i) => words.slice(i, i + n).join(" ")),
    );
  };
  const left = ngrams(candidate);
  const right = ngrams(wanted);
  return score([...left].filter((ngram) => right.has(ngram)).length, left.size, right.size);
}

function summaryScore(candidate: readonly string[][], wanted: readonly string[][]): RougeScore {
  const union = new Set<string>();
  for (const reference of wanted) {
    for (const sentence of candidate) for (const word of commonWords(reference, sentence)) union.add(word);
  }
  return score(union.size, new Set(candidate.flat()).size, new Set(wanted.flat()).size);
}

function score(overlap: number, candidateCount: number, referenceCount: number): RougeScore {
  const precision = candidateCount === 0 ? 0 : overlap / candidateCount;
  const recall = referenceCount === 0 ? 0 : overlap / referenceCount;
  return { recall, precision, f: 2 * ((precision * recall) / (precision + recall + 1e-8)) };
}

/** Words of one longest common subsequence; of several the one that the package walks back to. */
function commonWords(x: readonly string[], y: readonly string[]): string[] {
  const table = lcsTable(x, y);
  const words: string[] = [];
  let [i, j] = [x.length, y.length];
  while (i > 0 && j > 0) {
    if (x[i - 1] === y[j - 1]) {
      words.push(x[i - 1]);
      i--;
      j--;
    } else if (table[i - 1][j] > table[i][j - 1]) i--;
    else j--;
  }
  return words;
}
