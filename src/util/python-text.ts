/** Operations on text whose meaning in Python is not that of their JavaScript namesakes. */
import { pythonStrip } from "./python-strip.ts";

const SPACE = "[\\t\\n\\v\\f\\r\\x1c-\\x1f \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const SPACES = new RegExp(SPACE);

/** The 32 characters of `string.punctuation`. */
export const ASCII_PUNCTUATION: string = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/** `text.split()`: words between runs of Python's white space, none empty. */
export function pythonWords(text: string): string[] {
  const stripped = pythonStrip(text);
  return stripped === "" ? [] : stripped.split(SPACES);
}

/** `text.strip(characters)`: takes any of these single-unit characters off both ends. */
export function stripCharacters(text: string, characters: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && characters.includes(text[start])) start++;
  while (end > start && characters.includes(text[end - 1])) end--;
  return text.slice(start, end);
}

/** `text.capitalize()`: first character in title case, all others in lower case. */
export function pythonCapitalize(text: string): string {
  const [first = "", ...rest] = Array.from(text);
  return titleCase(first) + rest.join("").toLowerCase();
}

/** `len(text)`: code points, not UTF-16 units. */
export function pythonLength(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Title case of one character: of a ligature or ß only the first letter is raised, and the four digraphs have letters of their own. */
function titleCase(char: string): string {
  const [first = "", ...rest] = Array.from(char.toUpperCase());
  if ("ǄǇǊǱ".includes(first) && first !== "") return String.fromCodePoint((first.codePointAt(0) ?? 0) + 1);
  return first + rest.join("").toLowerCase();
}
