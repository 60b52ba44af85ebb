/** Texts that Python's `float()` and `int()` read as numbers. JavaScript's `Number` reads others: "" and "0x10", but not "1_000" or "٣". */
import { pythonStrip } from "./python-strip.ts";

const DIGITS = "\\d+(?:_\\d+)*";
const FLOAT = new RegExp(`^[+-]?(?:(?:${DIGITS})?\\.(?:${DIGITS})|(?:${DIGITS})\\.?)(?:[eE][+-]?${DIGITS})?$`);
const INT = new RegExp(`^[+-]?${DIGITS}$`);

/** `float(text)`; null where Python raises. Knows `inf`, `nan`, `1_000`, `.5`, surrounding blanks and the digits of every script. */
export function pythonFloat(text: string): number | null {
  const trimmed = asciiDigits(pythonStrip(text));
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (word) {
    if (word[2].toLowerCase() === "nan") return Number.NaN;
    return word[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  return FLOAT.test(trimmed) ? Number(trimmed.replaceAll("_", "")) : null;
}

/** `int(text)`; null where Python raises. */
export function pythonInt(text: string): bigint | null {
  const trimmed = asciiDigits(pythonStrip(text));
  if (!INT.test(trimmed)) return null;
  const digits = BigInt(trimmed.replace(/[+_-]/g, ""));
  return trimmed.startsWith("-") ? -digits : digits;
}

/** Decimal digits of any script as 0 … 9. They come in runs of ten, so a digit's value is its distance from the run's start. */
export function asciiDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0) ?? 0;
    let start = code;
    while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
    return String((code - start) % 10);
  });
}
