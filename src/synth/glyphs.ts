/**
 * The letters of this world, drawn for it: every character of ASCII as strokes on a grid. A glyph is its width and its strokes, separated by
 * "|"; a point is two digits to base 36, x then y. y = 0 is the top of capitals, 4 the top of small letters, 12 the line, 16 the lowest
 * descender. Bends of 45 degrees stand for curves; fonts may round them.
 */
import type { Point } from "./canvas.ts";

export interface Glyph {
  /** In units of the grid, without the space to its neighbours. */
  readonly width: number;
  readonly strokes: readonly (readonly Point[])[];
  /** A letter or digit: what serifs belong to. */
  readonly isWord: boolean;
}

/** Height of capitals in units. */
export const CAP_HEIGHT = 12;

const SOURCE: Readonly<Record<string, string>> = {
  A: "8|0c408c|1979",
  B: "8|0c005071745606|56788a6c0c",
  C: "8|816020020a2c6c8b",
  D: "8|0c005083895c0c",
  E: "7|70000c7c|0656",
  F: "7|70000c|0656",
  G: "8|816020020a2c6c8a8757",
  H: "8|000c|808c|0686",
  I: "4|202c|0040|0c4c",
  J: "7|707a5c2c0a",
  K: "8|000c|8007|348c",
  L: "7|000c7c",
  M: "a|0c0057a0ac",
  N: "8|0c008c80",
  O: "8|2060828a6c2c0a0220",
  P: "8|0c006082856707",
  Q: "8|2060828a6c2c0a0220|598d",
  R: "8|0c006082856707|478c",
  S: "8|81602002042666888a6c2c0b",
  T: "8|0080|404c",
  U: "8|000a2c6c8a80",
  V: "8|004c80",
  W: "c|003c639cc0",
  X: "8|008c|800c",
  Y: "8|004680|464c",
  Z: "8|00800c8c",
  a: "7|747c|755424060a2c5c7b",
  b: "7|000c|052454767a5c2c0b",
  c: "7|755424060a2c5c7b",
  d: "7|707c|755424060a2c5c7b",
  e: "7|0878765424060a2c5c7b",
  f: "5|5030212c|0444",
  g: "7|747e5g2g0f|755424060a2c5c7b",
  h: "7|000c|062454767c",
  i: "2|141c|1011",
  j: "4|343e2g0g|3031",
  k: "7|000c|6409|377c",
  l: "3|101a2c3c",
  m: "c|040c|062444666c|6684a4c6cc",
  n: "7|040c|062454767c",
  o: "7|2454767a5c2c0a0624",
  p: "7|040g|052454767a5c2c0b",
  q: "7|747g|755424060a2c5c7b",
  r: "5|040c|07244455",
  s: "7|75542405072858797b5c2c0b",
  t: "5|212a3c5c|0454",
  u: "7|040a2c5c7a|747c",
  v: "6|043c64",
  w: "a|042c568ca4",
  x: "7|047c|740c",
  y: "6|043c|641g",
  z: "7|04740c7c",
  "0": "7|2050727a5c2c0a0220",
  "1": "6|03303c|0c6c",
  "2": "7|02205072740c7c",
  "3": "7|01205072745626|56787a5c2c0b",
  "4": "7|5c500878",
  "5": "7|70000555777a5c2c0b",
  "6": "7|615020020a2c5c7a78562608",
  "7": "7|00702c",
  "8": "7|205072745626040220|26080a2c5c7a7856",
  "9": "7|1b2c5c7a7250200204265674",
  ".": "1|0b0c",
  ",": "2|1b0e",
  ":": "1|0506|0b0c",
  ";": "2|1516|1b0e",
  "!": "1|0008|0b0c",
  "?": "6|02104062643738|3b3c",
  "'": "1|0003",
  '"': "3|0003|3033",
  "(": "3|3013193c",
  ")": "3|0023290c",
  "[": "3|30000c3c",
  "]": "3|00303c0c",
  "{": "4|40212506272b4c",
  "}": "4|00212546272b0c",
  "/": "6|0c60",
  "\\": "6|006c",
  "-": "5|0757",
  _: "7|0d7d",
  "+": "6|0767|343a",
  "=": "6|0565|0969",
  "*": "6|3137|0266|6206",
  "%": "9|0c90|102031332414030110|7888999b8c7c6b6978",
  "&": "8|8c131120405153080a2c5c88",
  "#": "8|302c|605c|0484|0888",
  $: "7|7251210304265678795b2b0a|303d",
  "@": "a|7564443537486877|747898a6a3803003093c8c",
  "<": "6|63076b",
  ">": "6|03670b",
  "^": "6|043064",
  "`": "2|0022",
  "~": "8|0826476886",
  "|": "1|000e",
  " ": "5|",
};

const GLYPHS: ReadonlyMap<string, Glyph> = new Map(
  Object.entries(SOURCE).map(([char, text]) => [char, parse(text, /[A-Za-z0-9]/.test(char))]),
);

/** The glyph of a character; an empty box for one outside ASCII. */
export function glyphOf(char: string): Glyph {
  return GLYPHS.get(char) ?? MISSING;
}

const MISSING: Glyph = parse("6|00606c0c00", false);

function parse(text: string, isWord: boolean): Glyph {
  const [width, ...strokes] = text.split("|");
  return {
    width: Number.parseInt(width, 36),
    strokes: strokes
      .filter((stroke) => stroke !== "")
      .map((stroke) =>
        Array.from({ length: stroke.length / 2 }, (_, i) => ({
          x: Number.parseInt(stroke[2 * i], 36),
          y: Number.parseInt(stroke[2 * i + 1], 36),
        })),
      ),
    isWord,
  };
}
