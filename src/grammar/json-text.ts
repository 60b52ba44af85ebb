/** JSON's alphabet of strings as a small table over bytes: UTF-8, escapes, surrogate pairs. Source: RFC 8259 §7, RFC 3629 §4. */

/** Positions within a string. `CONTENT` is between two characters, `DONE` behind the closing quote. */
export const CONTENT = 0;
export const DONE = 1;
const ESCAPE = 2;
const TAIL_1 = 3;
const TAIL_2 = 4;
const TAIL_3 = 5;
const AFTER_E0 = 6;
const AFTER_ED = 7;
const AFTER_F0 = 8;
const AFTER_F4 = 9;
const HEX_1 = 10; // one more hexadecimal digit, and so on
const HEX_2 = 11;
const HEX_3 = 12;
const HEX_4 = 13;
const AFTER_D = 14; // "\ud": the next digit decides whether it is half a pair
const HIGH_2 = 15; // a high surrogate: two digits, then its other half must follow
const HIGH_1 = 16;
const PAIR_BACKSLASH = 17;
const PAIR_U = 18;
const PAIR_D = 19;
const PAIR_C = 20;
/** Count of the positions. */
export const POSITIONS = 21;

type Ranges = readonly (readonly [low: number, high: number, to: number])[];

const QUOTE = 0x22;
const HEX: readonly (readonly [number, number])[] = [
  [0x30, 0x39],
  [0x41, 0x46],
  [0x61, 0x66],
];

function hexTo(to: number): Ranges {
  return HEX.map(([low, high]) => [low, high, to] as const);
}

const UTF8: Ranges = [
  [0xc2, 0xdf, TAIL_1],
  [0xe0, 0xe0, AFTER_E0],
  [0xe1, 0xec, TAIL_2],
  [0xed, 0xed, AFTER_ED],
  [0xee, 0xef, TAIL_2],
  [0xf0, 0xf0, AFTER_F0],
  [0xf1, 0xf3, TAIL_3],
  [0xf4, 0xf4, AFTER_F4],
];

const EDGES: Readonly<Record<number, Ranges>> = {
  [CONTENT]: [
    [0x20, 0x21, CONTENT],
    [QUOTE, QUOTE, DONE],
    [0x23, 0x5b, CONTENT],
    [0x5c, 0x5c, ESCAPE],
    [0x5d, 0x7f, CONTENT],
    ...UTF8,
  ],
  [ESCAPE]: [
    ...[...'"\\/bfnrt'].map((char) => [char.charCodeAt(0), char.charCodeAt(0), CONTENT] as const),
    [0x75, 0x75, HEX_4],
  ],
  [TAIL_1]: [[0x80, 0xbf, CONTENT]],
  [TAIL_2]: [[0x80, 0xbf, TAIL_1]],
  [TAIL_3]: [[0x80, 0xbf, TAIL_2]],
  [AFTER_E0]: [[0xa0, 0xbf, TAIL_1]],
  [AFTER_ED]: [[0x80, 0x9f, TAIL_1]],
  [AFTER_F0]: [[0x90, 0xbf, TAIL_2]],
  [AFTER_F4]: [[0x80, 0x8f, TAIL_2]],
  [HEX_1]: hexTo(CONTENT),
  [HEX_2]: hexTo(HEX_1),
  [HEX_3]: hexTo(HEX_2),
  [HEX_4]: [
    [0x30, 0x39, HEX_3],
    [0x41, 0x43, HEX_3],
    [0x44, 0x44, AFTER_D],
    [0x45, 0x46, HEX_3],
    [0x61, 0x63, HEX_3],
    [0x64, 0x64, AFTER_D],
    [0x65, 0x66, HEX_3],
  ],
  [AFTER_D]: [
    [0x30, 0x37, HEX_2],
    [0x38, 0x39, HIGH_2],
    [0x41, 0x42, HIGH_2],
    [0x61, 0x62, HIGH_2],
  ],
  [HIGH_2]: hexTo(HIGH_1),
  [HIGH_1]: hexTo(PAIR_BACKSLASH),
  [PAIR_BACKSLASH]: [[0x5c, 0x5c, PAIR_U]],
  [PAIR_U]: [[0x75, 0x75, PAIR_D]],
  [PAIR_D]: [
    [0x44, 0x44, PAIR_C],
    [0x64, 0x64, PAIR_C],
  ],
  [PAIR_C]: [
    [0x43, 0x46, HEX_2],
    [0x63, 0x66, HEX_2],
  ],
};

/** NEXT[position · 256 + byte]; −1 where the byte may not come. */
const NEXT: Int8Array = new Int8Array(POSITIONS * 256).fill(-1);
for (const [from, ranges] of Object.entries(EDGES)) {
  for (const [low, high, to] of ranges) NEXT.fill(to, Number(from) * 256 + low, Number(from) * 256 + high + 1);
}

/** The position after a byte, −1 where it may not come. */
export function nextInString(position: number, byte: number): number {
  return NEXT[position * 256 + byte];
}

/** [POSITIONS] bytes that are missing to the end of the character. */
export const BYTES_TO_CONTENT: readonly number[] = Array.from({ length: POSITIONS }, (_, position) => {
  let bytes = 0;
  for (let reached = new Set([position]); !reached.has(CONTENT); bytes++) {
    const next = new Set<number>();
    for (const from of reached) for (const [, , to] of EDGES[from] ?? []) next.add(to);
    if (next.size === 0) return Number.POSITIVE_INFINITY; // DONE
    reached = next;
  }
  return bytes;
});

/** Bytes of `value` as JSON, each character in its one shortest form. */
export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
