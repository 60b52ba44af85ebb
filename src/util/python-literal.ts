/** Reads the Python literals that data sets and judges write: strings, numbers, True, False, None, lists and dicts. No names, no calls. */
import { asciiDigits } from "./python-number.ts";

export type PythonLiteral =
  | string
  | number
  | boolean
  | null
  | readonly PythonLiteral[]
  | { readonly [key: string]: PythonLiteral };

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "0": "\0",
};

/** `ast.literal_eval(text)`; undefined where Python raises. */
export function parsePythonLiteral(text: string): PythonLiteral | undefined {
  const reader = new LiteralReader(text);
  try {
    const value = reader.value();
    return reader.isAtEnd() ? value : undefined;
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

class NotALiteral extends Error {}

class LiteralReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#space();
    return this.#at === this.#text.length;
  }

  value(): PythonLiteral {
    this.#space();
    const char = this.#text[this.#at];
    if (char === "[") return this.#list("[", "]");
    if (char === "(") return this.#list("(", ")");
    if (char === "{") return this.#dict();
    if (char === "'" || char === '"') return this.#string(char);
    const word = /[\w.+-]+/y;
    word.lastIndex = this.#at;
    const match = word.exec(this.#text)?.[0] ?? "";
    this.#at += match.length;
    if (match === "True") return true;
    if (match === "False") return false;
    if (match === "None") return null;
    const number = asciiDigits(match);
    if (!/^[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d+)?$/.test(number)) throw new NotALiteral();
    return Number(number.replaceAll("_", ""));
  }

  #list(open: string, close: string): PythonLiteral[] {
    this.#expect(open);
    const items: PythonLiteral[] = [];
    while (!this.#skip(close)) {
      items.push(this.value());
      if (!this.#skip(",")) {
        this.#expect(close);
        break;
      }
    }
    return items;
  }

  #dict(): { [key: string]: PythonLiteral } {
    this.#expect("{");
    const entries: [string, PythonLiteral][] = [];
    while (!this.#skip("}")) {
      const key = this.value();
      this.#expect(":");
      entries.push([String(key), this.value()]);
      if (!this.#skip(",")) {
        this.#expect("}");
        break;
      }
    }
    return Object.fromEntries(entries);
  }

  #string(quote: string): string {
    let out = "";
    for (this.#at++; this.#text[this.#at] !== quote; this.#at++) {
      const char = this.#text[this.#at];
      if (char === undefined || char === "\n") throw new NotALiteral();
      if (char !== "\\") {
        out += char;
        continue;
      }
      const next = this.#text[++this.#at];
      const hex = { x: 2, u: 4, U: 8 }[next];
      if (hex !== undefined) {
        out += String.fromCodePoint(Number.parseInt(this.#text.slice(this.#at + 1, this.#at + 1 + hex), 16));
        this.#at += hex;
      } else out += ESCAPES[next] ?? `\\${next}`;
    }
    this.#at++;
    return out;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw new NotALiteral();
  }

  #skip(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? "x")) this.#at++;
  }
}
