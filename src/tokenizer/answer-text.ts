/**
 * The text of an answer while its ids come: decoded, cut at stop strings, stripped as the original strips it. All pieces together are
 * exactly the final text. Knows no model.
 */
import { StripStream } from "../util/python-strip.ts";
import type { DecodeStream } from "./decode-stream.ts";
import { createStopText, type StopText } from "./stop-text.ts";

export class AnswerText {
  readonly #decode: DecodeStream;
  readonly #stop: StopText;
  readonly #strip = new StripStream();
  #text = "";

  /** @throws RequestError when a stop string is empty or no string. */
  constructor(decode: DecodeStream, stops: readonly string[]) {
    this.#decode = decode;
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
    return this.#give(this.#stop.push(this.#decode.push(id)));
  }

  /** No more ids: what was held back. */
  end(): string {
    return this.#give(this.#stop.push(this.#decode.flush()) + this.#stop.flush());
  }

  #give(piece: string): string {
    const text = this.#strip.push(piece);
    this.#text += text;
    return text;
  }
}
