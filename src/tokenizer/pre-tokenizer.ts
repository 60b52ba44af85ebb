/**
 * From text without added tokens to pre-tokens: Unicode NFC, then the split pattern of tokenizer.json. Knows no vocabulary.
 * The pattern is Oniguruma's; @huggingface/tokenizers translates it to JavaScript (`\s` becomes Unicode White_Space).
 */
import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { ConfigError, messageOf, RequestError } from "../util/errors.ts";

// The package's own declarations use imports without extensions, which TypeScript does not resolve in ESM projects.
declare module "@huggingface/tokenizers" {
  export class SplitPreTokenizer {
    readonly pattern: RegExp | null;
    constructor(config: { type: "Split"; pattern: { Regex: string }; behavior: "Isolated"; invert: false });
  }
}

export class PreTokenizer {
  readonly #isNfc: boolean;
  readonly #patterns: readonly RegExp[];

  /** @throws ConfigError when a pattern cannot be translated. */
  constructor(options: { readonly isNfc: boolean; readonly patterns: readonly string[] }) {
    this.#isNfc = options.isNfc;
    this.#patterns = options.patterns.map(compilePattern);
  }

  normalize(text: string): string {
    return this.#isNfc ? normalizeNfc(text) : text;
  }

  /**
   * Calls `take` with each piece of normalised text, in order; the pieces joined are the text.
   * @throws RequestError when a stretch without a break is too long for the engine's pattern matcher (over ten megabytes).
   */
  split(text: string, take: (piece: string) => void, level = 0): void {
    if (text === "") return;
    if (level === this.#patterns.length) {
      take(text);
      return;
    }
    const pattern = new RegExp(this.#patterns[level]);
    let end = 0;
    for (let match = exec(pattern, text); match !== null; match = exec(pattern, text)) {
      if (match[0] === "") {
        pattern.lastIndex += 1;
        continue;
      }
      if (match.index > end) this.split(text.slice(end, match.index), take, level + 1);
      this.split(match[0], take, level + 1);
      end = pattern.lastIndex;
    }
    if (end < text.length) this.split(text.slice(end), take, level + 1);
  }
}

function exec(pattern: RegExp, text: string): RegExpExecArray | null {
  try {
    return pattern.exec(text);
  } catch (error) {
    throw new RequestError(
      "tokenizer",
      `a text of ${text.length} characters is too long to split: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function compilePattern(source: string): RegExp {
  // Case folding turns the `s` of `(?i:'s|…)` into U+017F too, in Oniguruma as in Rust; the translation folds ASCII only.
  const folded = source.replace("(?i:'s|", "'\u017f|(?i:'s|");
  try {
    const { pattern } = new SplitPreTokenizer({
      type: "Split",
      pattern: { Regex: folded },
      behavior: "Isolated",
      invert: false,
    });
    if (pattern !== null) return pattern;
  } catch (error) {
    throw new ConfigError("tokenizer", `cannot use the split pattern ${JSON.stringify(source)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new ConfigError("tokenizer", `expected a regular expression to split by, got ${JSON.stringify(source)}`);
}

/** Marks in a row that are put in canonical order together. Real text has fewer than ten; Unicode's Stream-Safe Format allows 30. */
const MARK_RUN = 1024;

/**
 * Unicode NFC in linear time. DIFFERS: a run of more than 1024 combining marks is normalised in parts, because the engine's
 * canonical ordering is quadratic (half a million marks take over a minute) and no text has such runs.
 */
export function normalizeNfc(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all of ASCII.
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  let normalized = "";
  let start = 0;
  let run = 0;
  let hasLongRun = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i) ?? 0;
    if (code < 0x300 || !/\p{M}/u.test(String.fromCodePoint(code))) {
      run = 0;
    } else if (++run === MARK_RUN) {
      normalized += text.slice(start, i).normalize("NFC");
      start = i;
      run = 0;
      hasLongRun = true;
    }
    if (code > 0xffff) i++;
  }
  return hasLongRun ? normalized + text.slice(start).normalize("NFC") : text.normalize("NFC");
}
