/**
 * Text to ids and back: added tokens, normalisation, pre-tokens, BPE; and bytes of ids as UTF-8. Knows no chat and no media.
 */
import type { AddedTokens, TextSpan } from "./added-tokens.ts";
import { ByteBpe } from "./byte-bpe.ts";
import { bytesOfToken, bytesOfTokens } from "./byte-level.ts";
import { createDecodeStream, createUtf8Decoder, type DecodeStream } from "./decode-stream.ts";
import { PreTokenizer } from "./pre-tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-files.ts";

/** The tokens of a vocabulary as bytes: id i is bytes[offsets[i], offsets[i + 1]). */
export interface Vocabulary {
  readonly bytes: Uint8Array;
  /** [length + 1] */
  readonly offsets: Uint32Array;
}

export class TextCodec {
  /** The highest id plus one. */
  readonly length: number;
  readonly #tokens: readonly (string | undefined)[];
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #added: AddedTokens;
  readonly #bpe: ByteBpe;
  readonly #preTokenizer: PreTokenizer;
  readonly #splitRaw: (text: string) => TextSpan[];
  readonly #splitNormalized: (text: string) => TextSpan[];

  constructor(parts: TokenizerParts) {
    this.#tokens = parts.tokens;
    this.#vocab = parts.model.vocab;
    this.#added = parts.added;
    this.#bpe = new ByteBpe(parts.model);
    this.#preTokenizer = new PreTokenizer(parts);
    this.#splitRaw = parts.added.splitter(
      (token) => !token.normalized,
      (text) => text,
    );
    this.#splitNormalized = parts.added.splitter(
      (token) => token.normalized,
      (text) => this.#preTokenizer.normalize(text),
    );
    this.length = parts.tokens.length;
  }

  /** @throws RequestError when a stretch of text is too long for the split pattern (tens of megabytes without a break). */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const span of this.#splitRaw(text)) {
      if (typeof span === "number") ids.push(span);
      else this.#encodeNormalized(this.#preTokenizer.normalize(span), ids);
    }
    return ids;
  }

  /** Not stripped; invalid UTF-8 becomes U+FFFD, unknown ids give nothing. */
  decode(ids: Iterable<number>, skipSpecialTokens: boolean): string {
    const parts: Uint8Array[] = [];
    let size = 0;
    for (const id of ids) {
      const bytes = this.#bytesOf(id, skipSpecialTokens);
      if (bytes === null) continue;
      parts.push(bytes);
      size += bytes.length;
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return createUtf8Decoder().decode(all);
  }

  decodeStream(skipSpecialTokens: boolean): DecodeStream {
    return createDecodeStream((id) => this.#bytesOf(id, skipSpecialTokens));
  }

  idOf(token: string): number | null {
    return this.#added.get(token)?.id ?? this.#vocab.get(token) ?? null;
  }

  /** Null for an unknown id. */
  bytesOf(id: number): Uint8Array | null {
    return this.#bytesOf(id, false);
  }

  /** Every token; special ones and ids without a token are empty. */
  vocabulary(): Vocabulary {
    return bytesOfTokens(Array.from({ length: this.length }, (_, id) => this.#textOf(id, true)));
  }

  /** Special tokens that `encode` finds in `text`, each once. */
  specialTokensIn(text: string): string[] {
    const found = new Set<string>();
    for (const span of this.#splitRaw(text)) {
      const token = typeof span === "number" ? this.#added.at(span) : undefined;
      if (token?.special) found.add(token.content);
    }
    return [...found];
  }

  #encodeNormalized(text: string, ids: number[]): void {
    for (const span of this.#splitNormalized(text)) {
      if (typeof span === "number") ids.push(span);
      else this.#preTokenizer.split(span, (piece) => this.#bpe.encode(piece, ids));
    }
  }

  #bytesOf(id: number, skipSpecialTokens: boolean): Uint8Array | null {
    const token = this.#textOf(id, skipSpecialTokens);
    return token === null ? null : bytesOfToken(token);
  }

  /** As the vocabulary spells it. */
  #textOf(id: number, skipSpecialTokens: boolean): string | null {
    const token = this.#tokens[id];
    return token === undefined || (skipSpecialTokens && this.#added.at(id)?.special) ? null : token;
  }
}
