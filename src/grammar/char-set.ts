/** Sets of Unicode code points as sorted ranges that do not touch, and their bytes in UTF-8. Surrogates are no characters and never in a set. */

export type Range = readonly [low: number, high: number];
export type CharSet = readonly Range[];

export const LAST = 0x10ffff;

/** Any character. */
export const ANY: CharSet = [
  [0, 0xd7ff],
  [0xe000, LAST],
];

/** Sorted, merged, without surrogates. */
export function charSet(ranges: readonly Range[]): CharSet {
  const sorted = ranges
    .flatMap(([low, high]): Range[] => [
      [low, Math.min(high, 0xd7ff)],
      [Math.max(low, 0xe000), high],
    ])
    .filter(([low, high]) => low <= high)
    .sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = merged.at(-1);
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export function complement(set: CharSet): CharSet {
  const rest: Range[] = [];
  let next = 0;
  for (const [low, high] of charSet(set)) {
    if (low > next) rest.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= LAST) rest.push([next, LAST]);
  return charSet(rest);
}

/** Sequences of byte ranges that together are the UTF-8 of low … high; no surrogates within. */
export function utf8Sequences(low: number, high: number): Range[][] {
  for (const last of [0x7f, 0x7ff, 0xffff]) {
    if (low <= last && high > last) return [...utf8Sequences(low, last), ...utf8Sequences(last + 1, high)];
  }
  if (high <= 0x7f) return [[[low, high]]];
  // Cut so that all but the leading bytes that are equal run over their whole range.
  for (let shift = 6; shift <= 18; shift += 6) {
    const mask = (1 << shift) - 1;
    if (low >> shift === high >> shift) continue;
    if ((low & mask) !== 0) return [...utf8Sequences(low, low | mask), ...utf8Sequences((low | mask) + 1, high)];
    if ((high & mask) !== mask)
      return [...utf8Sequences(low, (high & ~mask) - 1), ...utf8Sequences(high & ~mask, high)];
  }
  const from = utf8(low);
  const to = utf8(high);
  return [from.map((byte, i): Range => [byte, to[i]])];
}

function utf8(char: number): number[] {
  return [...new TextEncoder().encode(String.fromCodePoint(char))];
}
