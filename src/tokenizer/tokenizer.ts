/**
 * Text to ids and back, exactly as the tokenizer of the original (HF fast tokenizers, Qwen2). Knows no model, no media and no files:
 * a caller reads the JSON. `encode` adds no BOS and parses added tokens inside the text, as the original does.
 */
import { ConfigError } from "../util/errors.ts";
import type { ChatMessage } from "./chat-message.ts";
import { ChatTemplate, type ChatTemplateOptions } from "./chat-template.ts";
import type { DecodeStream } from "./decode-stream.ts";
import { inferStopIds } from "./stop-ids.ts";
import { TextCodec, type Vocabulary } from "./text-codec.ts";
import {
  IMAGE_TOKEN,
  readTokenizerFiles,
  type TokenizerFiles,
  type TokenizerParts,
  VIDEO_TOKEN,
} from "./tokenizer-files.ts";

export type { ChatMessage } from "./chat-message.ts";
export type { ChatTemplateOptions } from "./chat-template.ts";
export type { DecodeStream } from "./decode-stream.ts";
export type { TokenizerFiles } from "./tokenizer-files.ts";

export interface DecodeOptions {
  /** Leaves special tokens such as `<|im_end|>` out. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** What `createTokenizer` makes. */
export interface Tokenizer {
  /** Ids up to the highest one, plus one: `len(tokenizer)` of the original. */
  readonly length: number;
  readonly eosId: number;
  /** Tokens of prompt and answer together; Infinity when the files give no limit. */
  readonly modelMaxLength: number;
  /** Ids that end an answer: eos and what the chat template puts behind an assistant's message. */
  readonly stopIds: ReadonlySet<number>;
  readonly imageId: number;
  readonly videoId: number;
  /** Ids of `text`; linear in its length but for a logarithm. */
  encode(text: string): number[];
  /** Text of `ids`, not stripped; invalid UTF-8 becomes U+FFFD, unknown ids give nothing. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** A detokenizer for ids that come one by one; special tokens are skipped by default. */
  decodeStream(options?: DecodeOptions): DecodeStream;
  idOf(token: string): number | null;
  /** What an id stands for, special tokens included; null for an unknown id. Several ids together may make one character. */
  bytesOf(id: number): Uint8Array | null;
  /** All tokens as bytes, for constraints on answers; special tokens are empty there. */
  vocabulary(): Vocabulary;
  /** Special tokens that `encode` would find in `text`, in order of first appearance. */
  specialTokensIn(text: string): string[];
  /** @throws ConfigError without a usable template. @throws RequestError when the template refuses the messages. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions): string;
}

/** @throws ConfigError when a file is damaged or not a byte-level BPE tokenizer with an eos token. */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const { tokenizer, complete } = openTokenizer(files);
  complete();
  return tokenizer;
}

/**
 * A tokenizer in two steps, so that ids of special tokens are there while merge rules are still to be read.
 *
 * @returns The tokenizer, which works at once, and `complete`, which reads what would else be read at first use, and tells what is wrong
 * with it by a ConfigError.
 * @throws ConfigError as `createTokenizer`, but for merge rules and chat template.
 */
export function openTokenizer(files: TokenizerFiles): { tokenizer: Tokenizer; complete: () => void } {
  const parts = readTokenizerFiles(files);
  const tokenizer = new NvilaTokenizer(parts);
  const complete = (): void => {
    parts.model.merges.rank(0, 0); // reads them
    void tokenizer.stopIds;
  };
  return { tokenizer, complete };
}

class NvilaTokenizer implements Tokenizer {
  readonly length: number;
  readonly eosId: number;
  readonly modelMaxLength: number;
  readonly imageId: number;
  readonly videoId: number;
  readonly #hasTemplate: boolean;
  #stopIds: ReadonlySet<number> | null = null;
  readonly #codec: TextCodec;
  readonly #template: ChatTemplate;

  constructor(parts: TokenizerParts) {
    this.#codec = new TextCodec(parts);
    this.#template = new ChatTemplate(parts.chatTemplate, parts.namedTokens);
    this.length = this.#codec.length;
    this.modelMaxLength = parts.modelMaxLength;
    this.eosId = this.#required(parts.namedTokens.eos_token, "eos_token");
    this.imageId = this.#required(IMAGE_TOKEN, "image token");
    this.videoId = this.#required(VIDEO_TOKEN, "video token");
    this.#hasTemplate = parts.chatTemplate !== null;
  }

  get stopIds(): ReadonlySet<number> {
    this.#stopIds ??= this.#hasTemplate ? inferStopIds(this) : new Set([this.eosId]);
    return this.#stopIds;
  }

  encode(text: string): number[] {
    return this.#codec.encode(text);
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    return this.#codec.decode(ids, options.skipSpecialTokens ?? false);
  }

  decodeStream(options: DecodeOptions = {}): DecodeStream {
    return this.#codec.decodeStream(options.skipSpecialTokens ?? true);
  }

  idOf(token: string): number | null {
    return this.#codec.idOf(token);
  }

  bytesOf(id: number): Uint8Array | null {
    return this.#codec.bytesOf(id);
  }

  vocabulary(): Vocabulary {
    return this.#codec.vocabulary();
  }

  specialTokensIn(text: string): string[] {
    return this.#codec.specialTokensIn(text);
  }

  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions): string {
    return this.#template.render(messages, options);
  }

  #required(token: string | undefined, name: string): number {
    const id = token === undefined ? null : this.idOf(token);
    if (id === null)
      throw new ConfigError("tokenizer", `expected ${name} in tokenizer_config.json, got ${token ?? "none"}`);
    return id;
  }
}
