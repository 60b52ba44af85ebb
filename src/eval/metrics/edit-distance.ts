/** Edit distances over code points, the base of ANLS and of the matching of short answers. */

/** Levenshtein distance: insertions, deletions and substitutions cost 1. */
export function levenshtein(a: string, b: string): number {
  return editDistance(Array.from(a), Array.from(b), 1);
}

/** Similarity 0 … 1 as `Levenshtein.ratio` of python-Levenshtein: a substitution costs 2; two empty texts are equal. */
export function levenshteinRatio(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  const total = left.length + right.length;
  return total === 0 ? 1 : 1 - editDistance(left, right, 2) / total;
}

function editDistance(a: readonly string[], b: readonly string[], substitution: number): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : substitution);
      row.push(Math.min(change, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
