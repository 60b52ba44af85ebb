/** Regular expressions of JSON schemas as trees: what of ECMA-262 (with the flag u) is regular. Anything else is refused by name. */
import { type CharSet, charSet, complement, LAST, type Range } from "./char-set.ts";

/** Why a pattern cannot be used. */
export class PatternError extends Error {}

/** Beginning and end of the text are read as characters of their own. */
export const BEGIN = LAST + 1;
export const STOP = LAST + 2;

export type PatternNode =
  | { readonly kind: "set"; readonly set: readonly Range[] }
  | { readonly kind: "sequence"; readonly items: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly items: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly item: PatternNode; readonly min: number; readonly max: number };

const MAX_REPEAT = 2000;
const DIGIT: CharSet = [[0x30, 0x39]];
const WORD: CharSet = charSet([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const SPACE: CharSet = charSet([
  [9, 13],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
const DOT: CharSet = complement([
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
]);

const properties = new Map<string, CharSet>();

/** Reads one pattern. */
export class PatternParser {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#chars = [...pattern];
  }

  parse(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#chars.length) this.#refuse(`unexpected "${this.#chars[this.#at]}"`);
    return node;
  }

  #choice(): PatternNode {
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    return items.length === 1 ? items[0] : { kind: "choice", items };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#chars.length && this.#peek() !== "|" && this.#peek() !== ")")
      items.push(this.#quantified());
    return { kind: "sequence", items };
  }

  #quantified(): PatternNode {
    const item = this.#atom();
    const [min, max] = this.#quantifier();
    this.#take("?"); // lazy: the same texts
    if (min === 1 && max === 1) return item;
    if (Math.max(min, Number.isFinite(max) ? max : 0) > MAX_REPEAT) this.#refuse(`more than ${MAX_REPEAT} repeats`);
    return { kind: "repeat", item, min, max };
  }

  #quantifier(): [number, number] {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(""));
    if (!match) return [1, 1];
    this.#at += match[0].length;
    const min = Number(match[1]);
    return [min, match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3])];
  }

  #atom(): PatternNode {
    const char = this.#chars[this.#at++];
    switch (char) {
      case "^":
        return { kind: "set", set: [[BEGIN, BEGIN]] };
      case "$":
        return { kind: "set", set: [[STOP, STOP]] };
      case ".":
        return { kind: "set", set: DOT };
      case "[":
        return { kind: "set", set: this.#class() };
      case "(":
        return this.#group();
      case "\\":
        return { kind: "set", set: this.#escape(false) };
      default:
        return { kind: "set", set: single(char) };
    }
  }

  #group(): PatternNode {
    if (this.#take("?")) {
      if (this.#take("<")) {
        if (this.#peek() === "=" || this.#peek() === "!") this.#refuse("look-behind");
        while (!this.#take(">")) this.#at++; // a name
      } else if (!this.#take(":")) this.#refuse("look-ahead");
    }
    const node = this.#choice();
    if (!this.#take(")")) this.#refuse("an open group");
    return node;
  }

  #class(): CharSet {
    const isNegated = this.#take("^");
    const ranges: Range[] = [];
    while (!this.#take("]")) {
      const low = this.#classItem();
      if (this.#peek() === "-" && this.#chars[this.#at + 1] !== "]") {
        this.#at++;
        const high = this.#classItem();
        ranges.push([low[0][0], high[0][0]]);
      } else ranges.push(...low);
    }
    return isNegated ? complement(ranges) : charSet(ranges);
  }

  #classItem(): CharSet {
    const char = this.#chars[this.#at++];
    return char === "\\" ? this.#escape(true) : single(char);
  }

  #escape(isInClass: boolean): CharSet {
    const char = this.#chars[this.#at++];
    const control = "tnvfr0".indexOf(char);
    if (control >= 0) return single("\t\n\v\f\r\0"[control]);
    switch (char) {
      case "d":
        return DIGIT;
      case "D":
        return complement(DIGIT);
      case "w":
        return WORD;
      case "W":
        return complement(WORD);
      case "s":
        return SPACE;
      case "S":
        return complement(SPACE);
      case "p":
      case "P":
        return this.#property(char);
      case "c":
        return single(String.fromCharCode(this.#chars[this.#at++].charCodeAt(0) % 32));
      case "x":
        return this.#hex(2);
      case "u":
        return this.#unicode();
      case "b":
        if (isInClass) return single("\b");
        return this.#refuse("a word boundary (\\b)");
      case "B":
        return this.#refuse("a word boundary (\\B)");
      default:
        if (/[1-9k]/.test(char)) return this.#refuse(`a back reference (\\${char})`);
        return single(char);
    }
  }

  #hex(digits: number): CharSet {
    const text = this.#chars.slice(this.#at, this.#at + digits).join("");
    this.#at += digits;
    return single(String.fromCodePoint(Number.parseInt(text, 16)));
  }

  #unicode(): CharSet {
    if (this.#take("{")) {
      const end = this.#chars.indexOf("}", this.#at);
      const set = this.#hex(end - this.#at);
      this.#at++;
      return set;
    }
    const high = this.#chars.slice(this.#at, this.#at + 4).join("");
    if (/^d[89ab]/i.test(high) && this.#chars[this.#at + 4] === "\\" && this.#chars[this.#at + 5] === "u") {
      const low = this.#chars.slice(this.#at + 6, this.#at + 10).join("");
      this.#at += 10;
      return single(String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16)));
    }
    return this.#hex(4);
  }

  /** A class of Unicode, as this JavaScript engine knows it. */
  #property(letter: string): CharSet {
    const end = this.#chars.indexOf("}", this.#at);
    const name = this.#chars.slice(this.#at, end + 1).join("");
    this.#at = end + 1;
    const known = properties.get(letter + name);
    if (known) return known;
    const pattern = new RegExp(`^\\${letter}${name}$`, "u");
    const ranges: [number, number][] = [];
    for (let char = 0; char <= LAST; char++) {
      if (!pattern.test(String.fromCodePoint(char))) continue;
      const last = ranges.at(-1);
      if (last && last[1] === char - 1) last[1] = char;
      else ranges.push([char, char]);
    }
    const set = charSet(ranges);
    properties.set(letter + name, set);
    return set;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(char: string): boolean {
    if (this.#chars[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #refuse(what: string): never {
    throw new PatternError(`${what} is not supported`);
  }
}

function single(char: string): CharSet {
  const code = char.codePointAt(0) as number;
  return [[code, code]];
}
