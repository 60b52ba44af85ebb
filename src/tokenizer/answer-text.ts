/**
 * The text of an answer while its ids come: decoded, cut at stop strings, stripped as the original strips it. All pieces together are
 * exactly the final text. Knows no model.
 */
import { StripStream } from "../util/python-strip.ts";
import type { DecodeStream } from "./decode-stream.ts";
import { createStopText, type StopText } from "./stop-text.ts";

/** Takes something out of a text that comes in pieces. */
export interface TextFilter {
  push(piece: string): string;
  /** The end of the pieces: what was held back. */
  flush(): string;
}

export class AnswerText {
  readonly #decode: DecodeStream;
  readonly #stop: StopText;
  readonly #filter: TextFilter | null;
  readonly #strip = new StripStream();
  #text = "";

  /**
   * @param filter Sees the text after the stop strings.
   * @throws RequestError when a stop string is empty or no string.
   */
  constructor(decode: DecodeStream, stops: readonly string[], filter: TextFilter | null = null) {
    this.#decode = decode;
    this.#filter = filter;
    this.#stop = createStopText(stops);
  }

  /** True once a stop string was found. */
  get isStopped(): boolean {
    return this.#stop.isStopped;
  }

  /** All of the text that is certain so far; after `end` the whole. */
  get text(): string {
    return this.#text;
  }

  /** The text that has become certain with this id. */
  push(id: number): string {
    return this.#give(this.#filtered(this.#stop.push(this.#decode.push(id))));
  }

  /** No more ids: what was held back. */
  end(): string {
    const rest = this.#stop.push(this.#decode.flush()) + this.#stop.flush();
    return this.#give(this.#filtered(rest) + (this.#filter?.flush() ?? ""));
  }

  #filtered(piece: string): string {
    return this.#filter ? this.#filter.push(piece) : piece;
  }

  #give(piece: string): string {
    const text = this.#strip.push(piece);
    this.#text += text;
    return text;
  }
}
