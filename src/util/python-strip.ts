/**
 * Python's `str.strip()`, which the original applies to every message and answer. Its whitespace is not JavaScript's:
 * U+001C–U+001F and U+0085 are stripped, U+FEFF is not.
 */

/** Every character for which Python's `str.isspace()` holds; all are single UTF-16 code units. */
const WHITESPACE: ReadonlySet<string> = new Set(
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
);

/** `text` without leading and trailing whitespace, as `text.strip()` in Python. */
export function pythonStrip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && WHITESPACE.has(text[start])) start++;
  while (end > start && WHITESPACE.has(text[end - 1])) end--;
  return text.slice(start, end);
}

/** `pythonStrip` for text that comes in pieces: the pieces it gives are together the stripped whole. */
export class StripStream {
  #hasBegun = false;
  #space = "";

  /** Whitespace is held back until something follows it. */
  push(piece: string): string {
    let start = 0;
    if (!this.#hasBegun) while (start < piece.length && WHITESPACE.has(piece[start])) start++;
    if (start === piece.length) return "";
    this.#hasBegun = true;
    let end = piece.length;
    while (end > start && WHITESPACE.has(piece[end - 1])) end--;
    const text = end > start ? this.#space + piece.slice(start, end) : "";
    this.#space = (end > start ? "" : this.#space) + piece.slice(end);
    return text;
  }
}
