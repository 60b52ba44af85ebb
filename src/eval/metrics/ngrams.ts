/** N-grams of words and the longest common subsequence: what the caption metrics count. */

/** How often each run of 1 … `maxN` words occurs, keyed by the words joined with a blank. */
export function countNgrams(words: readonly string[], maxN: number): Map<string, { n: number; count: number }> {
  const counts = new Map<string, { n: number; count: number }>();
  for (let n = 1; n <= maxN; n++) {
    for (let i = 0; i + n <= words.length; i++) {
      const key = words.slice(i, i + n).join(" ");
      const entry = counts.get(key);
      if (entry) entry.count++;
      else counts.set(key, { n, count: 1 });
    }
  }
  return counts;
}

/** `table[i][j]` = length of the longest common subsequence of the first i words of `a` and the first j of `b`. */
export function lcsTable(a: readonly string[], b: readonly string[]): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      table[i][j] = a[i - 1] === b[j - 1] ? table[i - 1][j - 1] + 1 : Math.max(table[i - 1][j], table[i][j - 1]);
    }
  }
  return table;
}

/** One generated caption and what people wrote. */
export interface CaptionItem {
  readonly hypothesis: string;
  readonly references: readonly string[];
}
