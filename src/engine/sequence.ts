/**
 * One request as rows: text ids and media items in order, then the tokens of the answer. Knows which rows belong to what, where its keys
 * and values lie, and how far they are computed. Does no arithmetic and decides nothing.
 */
import type { MediaInput, TileSource } from "../models/nvila/nvila-model.ts";
import type { MediaKind } from "../models/nvila/splice.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";
import { Sampler } from "./sampler.ts";
import type { SamplingOptions } from "./sampling-options.ts";
import { type ChosenToken, TokenChoice } from "./token-choice.ts";
import type { ConstraintFor, ConstraintSpec } from "./token-constraint.ts";

/** Grid of a picture's largest scale (Dynamic-S2). */
export type MediaBlockSize = NonNullable<Extract<MediaInput, { kind: "image" }>["blockSizes"]>[number];

/** What stands behind one media token. */
export interface MediaItem {
  readonly kind: MediaKind;
  /** Content: items with equal keys have equal rows. Covers tiles, grid, kind, and whatever of the options shapes the rows. */
  readonly key: string;
  /** Rows of the prompt that it becomes. */
  readonly rows: number;
  /** Its own tiles or frames. */
  readonly tiles: TileSource;
  /** Of a picture cut into scales; null otherwise. */
  readonly blockSize: MediaBlockSize;
}

/** What is asked of the engine. */
export interface EngineRequest {
  /** Text ids and media in order. */
  readonly prompt: readonly (Int32Array | MediaItem)[];
  readonly sampling: SamplingOptions;
  /** Ids that the repetition penalty covers from the start. */
  readonly history: readonly number[];
  /** A token of these ends the answer and is part of it. */
  readonly stopIds: ReadonlySet<number>;
  /** Longest answer; null: as far as the context goes. */
  readonly maxTokens: number | null;
  /** Rows of prompt and answer together. */
  readonly contextLength: number;
  /** What the answer must look like. Default null: anything. */
  readonly constraint?: ConstraintSpec | null;
  /** Alternatives to report with each token, 0..20. Default null: no log-probabilities. */
  readonly logprobs?: number | null;
}

/** Rows [start, end) of a sequence that are text or one media item. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly ids: Int32Array | null;
  readonly media: MediaItem | null;
}

export class Sequence {
  /** Order of arrival; the highest is the youngest. */
  readonly arrival: number;
  readonly request: EngineRequest;
  readonly promptLength: number;
  readonly segments: readonly Segment[];
  /** Tokens of the answer so far. */
  readonly generated: number[] = [];
  readonly #choice: TokenChoice;

  /** Rows whose keys and values are in `blocks`. */
  computed = 0;
  /** Blocks of the pool, in order of the rows. */
  blocks: number[] = [];
  /** Names of the full blocks in the prefix cache, as far as they have one. */
  chain: number[] = [];

  /**
   * @param constraintFor Makes the automaton of a constraint.
   * @throws RequestError when the prompt is empty, leaves no room for an answer, or options are out of range; UnsupportedError for a
   * constraint without `constraintFor`.
   */
  constructor(request: EngineRequest, arrival: number, constraintFor: ConstraintFor | null = null) {
    const { contextLength, stopIds, maxTokens, constraint: spec = null, logprobs = null } = request;
    if (spec && !constraintFor)
      throw new UnsupportedError("engine", `this engine knows no constraints, got "${spec.kind}"`);
    this.arrival = arrival;
    this.request = request;
    const segments: Segment[] = [];
    let row = 0;
    for (const item of request.prompt) {
      const isText = item instanceof Int32Array;
      const start = row;
      row += isText ? item.length : item.rows;
      if (row > start) segments.push({ start, end: row, ids: isText ? item : null, media: isText ? null : item });
    }
    this.segments = segments;
    this.promptLength = row;
    if (row === 0) throw new RequestError("engine", "expected a prompt of at least one token, got none");
    if (row >= contextLength) {
      throw new RequestError(
        "engine",
        `expected a prompt below the context of ${contextLength} tokens, got ${row}, which leaves no room for an answer`,
      );
    }
    const sampler = new Sampler(request.sampling, request.history);
    const constraint = spec && constraintFor ? constraintFor(spec) : null;
    const room = contextLength - row;
    this.#choice = new TokenChoice({ sampler, constraint, logprobs, stopIds, maxTokens, room });
  }

  /** Rows that are known: prompt and answer. */
  get length(): number {
    return this.promptLength + this.generated.length;
  }

  /** Most rows that it may need, should it run to its end. */
  get maxRows(): number {
    const { maxTokens, contextLength } = this.request;
    return maxTokens === null ? contextLength : Math.min(contextLength, this.promptLength + maxTokens);
  }

  /** Chooses the next token from logits [V] of the last row and appends it. */
  choose(logits: Float32Array): ChosenToken {
    const token = this.#choice.choose(logits);
    this.generated.push(token.id);
    return token;
  }

  /** Rows [start, end) as text ids and parts of media, in order. */
  parts(start: number, end: number): { ids: Int32Array | null; media: MediaItem | null; from: number; to: number }[] {
    const parts: { ids: Int32Array | null; media: MediaItem | null; from: number; to: number }[] = [];
    for (const segment of this.segments) {
      const from = Math.max(start, segment.start) - segment.start;
      const to = Math.min(end, segment.end) - segment.start;
      if (from >= to) continue;
      parts.push({ ids: segment.ids?.subarray(from, to) ?? null, media: segment.media, from, to });
    }
    const from = Math.max(start - this.promptLength, 0);
    const to = Math.min(end, this.length) - this.promptLength;
    if (from < to) parts.push({ ids: Int32Array.from(this.generated.slice(from, to)), media: null, from, to });
    return parts;
  }

  /** What rows [start, end) hold, as text: equal texts, equal rows. */
  contentOf(start: number, end: number): string {
    return this.parts(start, end)
      .map(({ ids, media, from, to }) => (media ? `<${media.key} ${from}:${to}>` : (ids as Int32Array).join(",")))
      .join(",");
  }

  /** Media with rows that are not computed yet. */
  get missingMedia(): MediaItem[] {
    return this.segments.flatMap(({ media, end }) => (media && end > this.computed ? [media] : []));
  }
}
