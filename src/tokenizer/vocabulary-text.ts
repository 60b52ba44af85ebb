/**
 * The vocabulary of a `tokenizer.json` read from its text. `JSON.parse` makes an object of 150 000 keys, which then has to be copied into a
 * map: together four times as long as reading token after token into the map. Whatever does not look as usual is left to `JSON.parse`.
 */

/** Stands in for the vocabulary while the rest is parsed. */
const PLACE = "the vocabulary is read apart";
const START = /"vocab"\s*:\s*\{/g;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** V8 makes longer pieces views of the whole text, which would stay in memory with them. */
const MAX_COPIED_LENGTH = 12;

/** The parsed file; `model.vocab` is a Map of token → id where the fast way was taken. @throws SyntaxError when it is no JSON. */
export function parseTokenizerJson(text: string): unknown {
  START.lastIndex = 0;
  const start = START.exec(text);
  const read = start && readVocabulary(text, start.index + start[0].length);
  if (!read) return JSON.parse(text);
  const placed = `${text.slice(0, start.index)}"vocab":${JSON.stringify(PLACE)}${text.slice(read.end)}`;
  const json = parsedOrNull(placed) as { readonly model?: { vocab?: unknown } } | null;
  const model = json?.model;
  // Another "vocab" was meant, or something is wrong and the message should tell its true place.
  if (typeof model !== "object" || model === null || model.vocab !== PLACE) return JSON.parse(text);
  model.vocab = read.vocab;
  return json;
}

/** From behind the opening brace: the pairs, and where the object ends; null when something is not as usual. */
function readVocabulary(text: string, start: number): { vocab: Map<string, number>; end: number } | null {
  const vocab = new Map<string, number>();
  let at = skipSpace(text, start);
  if (text[at] === "}") return { vocab, end: at + 1 };
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE) return null;
    const tokenStart = at;
    let isPlain = true;
    for (at++; ; at++) {
      const char = text.charCodeAt(at);
      if (char === QUOTE) break;
      if (char === BACKSLASH) {
        isPlain = false;
        at++;
      } else if (!(char >= 0x20)) return null; // a control character, or the end
    }
    at++;
    const token =
      isPlain && at - tokenStart - 2 <= MAX_COPIED_LENGTH
        ? text.slice(tokenStart + 1, at - 1)
        : (parsedOrNull(text.slice(tokenStart, at)) as string | null);
    at = skipSpace(text, at);
    if (token === null || text[at] !== ":") return null;
    at = skipSpace(text, at + 1);
    let id = 0;
    const idStart = at;
    for (let digit = text.charCodeAt(at) - 48; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - 48) {
      id = id * 10 + digit;
    }
    // JSON has no numbers with leading zeros; those with more digits are refused by whoever reads ids.
    if (at === idStart || at - idStart > 15 || (at - idStart > 1 && text[idStart] === "0")) return null;
    vocab.set(token, id);
    at = skipSpace(text, at);
    if (text[at] === "}") return { vocab, end: at + 1 };
    if (text[at] !== ",") return null;
    at = skipSpace(text, at + 1);
  }
}

function parsedOrNull(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (let char = text.charCodeAt(at); char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09; ) {
    char = text.charCodeAt(++at);
  }
  return at;
}
