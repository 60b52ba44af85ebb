/** ROUGE-L of captions. Source: pycocoevalcap ad63453 `rouge.py`. */
import { type CaptionItem, lcsTable } from "./ngrams.ts";

const BETA = 1.2;

/** F of one caption: best precision and best recall over its references, each on its own. Words are split at single blanks. */
export function rougeL({ hypothesis, references }: CaptionItem): number {
  const words = hypothesis.split(" ");
  let precision = 0;
  let recall = 0;
  for (const reference of references) {
    const wanted = reference.split(" ");
    const common = lcsTable(words, wanted)[words.length][wanted.length];
    precision = Math.max(precision, common / words.length);
    recall = Math.max(recall, common / wanted.length);
  }
  if (precision === 0 || recall === 0) return 0;
  return ((1 + BETA ** 2) * precision * recall) / (recall + BETA ** 2 * precision);
}
