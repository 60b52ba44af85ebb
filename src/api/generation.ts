/**
 * The handle of one running answer: an async iterator of text chunks and a promise of the result, both over one run.
 * The run starts at once. Leaving the iteration early stops it.
 */

/** A piece of the answer. */
export interface GenerationChunk {
  /** New text, never half a character. May be empty while a character is incomplete. */
  readonly text: string;
  /** The tokens behind it. */
  readonly tokenIds: readonly number[];
  /** Of `tokenIds`, one for one; only with the option `logprobs`. */
  readonly logprobs?: readonly TokenLogprob[];
}

/** A token and the natural logarithm of the probability that the model gave it, before sampling options and constraints. */
export interface LogprobOf {
  readonly id: number;
  /** U+FFFD where the token is a part of a character; see `bytes`. */
  readonly text: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
}

/** A token of the answer with the likeliest tokens at its place, likeliest first; its own may be among them. */
export interface TokenLogprob extends LogprobOf {
  readonly top: readonly LogprobOf[];
}

/** A call that the model makes of one of the `tools`. */
export interface ToolCall {
  /** Unique; a message of role "tool" answers it by this. */
  readonly id: string;
  readonly name: string;
  /** JSON text of the arguments. */
  readonly arguments: string;
}

/** One picture or video as the model saw it. */
export interface MediaReport {
  readonly kind: "image" | "video";
  /** Pixels of the picture or of one frame, before any resize. */
  readonly width: number;
  readonly height: number;
  /** [columns, rows] of the tile grid that was chosen; [1, 1] when the picture is one tile. */
  readonly grid: readonly [columns: number, rows: number];
  /** Tile grids from coarse to fine: with dynamic S2 one per scale, else `grid` alone. */
  readonly scales: readonly (readonly [columns: number, rows: number])[];
  /** Square tiles that the vision tower encoded (for a video: its frames). */
  readonly tiles: number;
  /** Rows that the vision tower makes of the tiles, before projector and pooling compress them to `tokens`. */
  readonly patchTokens: number;
  /** Rows of the prompt that this item occupies: the sum of its spans. */
  readonly tokens: number;
  /** [start, end) rows in the spliced prompt, one span per media token. */
  readonly spans: readonly (readonly [start: number, end: number])[];
  /** Where the sampled frames lie in the video, in seconds; null for pictures and for videos without a clock. */
  readonly frameSeconds: readonly number[] | null;
  /** [frames, rows, columns] that temporal pooling makes one (the first pool size of several); null without. */
  readonly pooling: readonly [frames: number, rows: number, columns: number] | null;
}

/** Milliseconds, measured on the wall clock. */
export interface Timings {
  readonly loadMs: number;
  /** Decoding, resizing and tokenising. */
  readonly preprocessMs: number;
  /** Vision tower, projector, pooling. */
  readonly visionMs: number;
  readonly prefillMs: number;
  /** From the call to the first token, loading excluded. */
  readonly ttftMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
  /** Tokens after the first per second of `decodeMs`; 0 when there is none. */
  readonly decodeTokensPerSecond: number;
}

/** Why an answer ended: a stop token or stop string, `maxTokens`, the model's context limit, or that it calls tools. */
export type FinishReason = "stop" | "length" | "context" | "tool_calls";

/** A whole answer. */
export interface GenerationResult {
  /** Decoded without special tokens, stripped as the original does. */
  readonly text: string;
  /** `text` with the time tokens of video models as seconds: `<t50>` → `<5.05>`. Null without time tokens or a video that has a clock. */
  readonly timedText: string | null;
  /** Generated ids; a stop token that ended the answer is included. */
  readonly tokenIds: readonly number[];
  /** Ids of the templated prompt; each media token stands for its rows. */
  readonly promptTokenIds: readonly number[];
  /** The templated prompt before tokenising. */
  readonly promptText: string;
  /** Rows of the prompt after media are spliced in. */
  readonly promptLength: number;
  /** Rows of the prompt that an earlier request had computed already: they cost nothing. */
  readonly cachedTokens: number;
  readonly finishReason: FinishReason;
  /** One for each of `tokenIds`; null without the option `logprobs`. */
  readonly logprobs: readonly TokenLogprob[] | null;
  /** Calls of tools, in order; they are not part of `text`. */
  readonly toolCalls: readonly ToolCall[];
  readonly media: readonly MediaReport[];
  readonly timings: Timings;
  readonly memory: { readonly peakRssBytes: number };
  readonly model: string;
  /** What ran: "cpu" or "reference". */
  readonly device: string;
  readonly threads: number;
}

/** The running answer of `model.generate(…)`: iterate it for text as it comes, or await it for the whole result. */
export class Generation implements AsyncIterable<GenerationChunk>, PromiseLike<GenerationResult> {
  readonly #result: Promise<GenerationResult>;
  readonly #abort: AbortController;
  readonly #queue: GenerationChunk[] = [];
  #isEnded = false;
  #wake: (() => void) | null = null;

  /** @param run The work; calls `emit` for each chunk and obeys `signal`. */
  constructor(
    run: (emit: (chunk: GenerationChunk) => void, signal: AbortSignal) => Promise<GenerationResult>,
    signal?: AbortSignal,
  ) {
    this.#abort = new AbortController();
    const forward = (): void => this.#abort.abort(signal?.reason);
    if (signal?.aborted) forward();
    else signal?.addEventListener("abort", forward, { once: true });
    const emit = (chunk: GenerationChunk): void => {
      this.#queue.push(chunk);
      this.#wake?.();
    };
    this.#result = run(emit, this.#abort.signal).finally(() => {
      signal?.removeEventListener("abort", forward);
      this.#isEnded = true;
      this.#wake?.();
    });
    // Whoever iterates or awaits gets the error; a handle that nobody looks at must not end the process.
    this.#result.catch(() => {});
  }

  /** Stops the answer; iteration and promise end with `reason` (default: an AbortError). */
  abort(reason?: unknown): void {
    this.#abort.abort(reason);
  }

  // biome-ignore lint/suspicious/noThenProperty: a generation is awaitable by design, like a query builder.
  then<A = GenerationResult, B = never>(
    onFulfilled?: ((result: GenerationResult) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onFulfilled, onRejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationChunk, void, void> {
    try {
      for (;;) {
        for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) yield chunk;
        if (this.#isEnded) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
      await this.#result;
    } finally {
      if (!this.#isEnded) this.#abort.abort();
    }
  }
}
