/**
 * Tokens that are found in the text as they are, before any splitting: `<|im_start|>`, `<image>`, time tokens.
 * Knows ids and contents, not the vocabulary. Source: HF tokenizers `AddedVocabulary`.
 */
import { ConfigError } from "../util/errors.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Left out by `decode(…, {skipSpecialTokens: true})`. */
  readonly special: boolean;
  /** Looked for in normalised instead of raw text. */
  readonly normalized: boolean;
  /** Takes the whitespace on its left (right) with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** A stretch of text: an added token's id, or text between added tokens. */
export type TextSpan = number | string;

export class AddedTokens {
  readonly #byContent = new Map<string, AddedToken>();
  readonly #byId = new Map<number, AddedToken>();

  /** Adds a token, or changes the flags of one that is there. @throws ConfigError when the id belongs to another token. */
  set(token: AddedToken): void {
    const sameId = this.#byId.get(token.id);
    const sameContent = this.#byContent.get(token.content);
    if ((sameId && sameId.content !== token.content) || (sameContent && sameContent.id !== token.id)) {
      const other = sameId ?? sameContent;
      throw new ConfigError(
        "tokenizer",
        `added token ${JSON.stringify(token.content)} with id ${token.id} contradicts ${JSON.stringify(other?.content)} with id ${other?.id}`,
      );
    }
    this.#byContent.set(token.content, token);
    this.#byId.set(token.id, token);
  }

  get(content: string): AddedToken | undefined {
    return this.#byContent.get(content);
  }

  at(id: number): AddedToken | undefined {
    return this.#byId.get(id);
  }

  values(): Iterable<AddedToken> {
    return this.#byId.values();
  }

  /** A function that cuts text at the tokens for which `isWanted` holds: leftmost first, longest among equals. */
  splitter(
    isWanted: (token: AddedToken) => boolean,
    normalize: (text: string) => string,
  ): (text: string) => TextSpan[] {
    const tokens = new Map<string, AddedToken>();
    for (const token of this.#byId.values()) if (isWanted(token)) tokens.set(normalize(token.content), token);
    if (tokens.size === 0) return (text) => (text === "" ? [] : [text]);
    const longestFirst = [...tokens.keys()].sort((a, b) => b.length - a.length);
    const source = longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
    return (text) => splitBy(new RegExp(source, "g"), tokens, text);
  }
}

function splitBy(pattern: RegExp, tokens: ReadonlyMap<string, AddedToken>, text: string): TextSpan[] {
  const spans: TextSpan[] = [];
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const token = tokens.get(match[0]);
    if (token === undefined) continue;
    const between = text.slice(end, match.index);
    const kept = token.lstrip ? withoutTrailingSpace(between) : between;
    if (kept !== "") spans.push(kept);
    spans.push(token.id);
    if (token.rstrip) while (pattern.lastIndex < text.length && isSpace(text[pattern.lastIndex])) pattern.lastIndex++;
    end = pattern.lastIndex;
  }
  if (end < text.length) spans.push(text.slice(end));
  return spans;
}

function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1])) end--;
  return text.slice(0, end);
}

function isSpace(char: string): boolean {
  return /\p{White_Space}/u.test(char);
}
