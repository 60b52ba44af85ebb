/**
 * What passes between the main thread and the engine's: plain data. Tiles are asked for by the engine and handed over a few at a time, so
 * that a long video is not in memory twice.
 */
import type { EngineOptions, EngineStats } from "../engine/engine.ts";
import type { RequestReport } from "../engine/running.ts";
import type { EngineRequest, MediaItem } from "../engine/sequence.ts";
import type { EndReason } from "../engine/token-choice.ts";
import type { TokenLogprobs } from "../engine/token-constraint.ts";
import type { ModelFacts } from "../models/nvila/model-facts.ts";
import type { NvilaTokens } from "../models/nvila/nvila-model.ts";
import type { Vocabulary } from "../tokenizer/text-codec.ts";
import type { BuildOptions } from "./build-model.ts";
import type { PlainError } from "./plain-error.ts";

/** What the thread is started with; enough to open the files while the main thread reads the tokenizer. */
export interface ThreadSetup {
  /** Folder of the checkpoint. */
  readonly folder: string;
  /** Keys that replace those of config.json. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly build: BuildOptions;
}

/** What the main thread knows once it has the tokenizer. */
export interface ModelSetup {
  readonly tokens: NvilaTokens;
  readonly limits: Omit<EngineOptions, "now" | "pace" | "constraintFor">;
}

/** What constraints on answers are made of; sent before the first request that has one. */
export interface ConstraintBasis {
  readonly vocabulary: Vocabulary;
  readonly stopIds: ReadonlySet<number>;
}

/** What came of loading. */
export interface LoadedFacts {
  readonly facts: ModelFacts;
  /** Name of the backend. */
  readonly device: string;
  readonly threads: number;
}

/** A request without its tiles. */
export interface PlainRequest extends Omit<EngineRequest, "prompt"> {
  readonly prompt: readonly (Int32Array | PlainItem)[];
}

export interface PlainItem extends Omit<MediaItem, "tiles"> {
  /** Their number. */
  readonly tiles: number;
}

export type ToEngine =
  | { readonly type: "load"; readonly setup: ModelSetup }
  | { readonly type: "vocabulary"; readonly basis: ConstraintBasis }
  | { readonly type: "run"; readonly id: number; readonly request: PlainRequest }
  /** `abort` gives the request up, `stop` ends its answer with the next token. */
  | { readonly type: "abort" | "stop"; readonly id: number }
  /** Tiles of prompt item `item` from `start` on: [n, 3, S, S]. */
  | {
      readonly type: "tiles";
      readonly id: number;
      readonly item: number;
      readonly start: number;
      readonly end: number;
      readonly pixels: Float32Array;
    };

export type FromEngine = { readonly stats: EngineStats } & (
  | { readonly type: "ready"; readonly loaded: LoadedFacts }
  | { readonly type: "refused"; readonly error: PlainError }
  | { readonly type: "warning"; readonly message: string }
  | RequestMessage
);

/** About one request. */
export type RequestMessage = { readonly id: number } & (
  | {
      readonly type: "token";
      readonly token: number;
      readonly end: EndReason | null;
      readonly logprobs?: TokenLogprobs | undefined;
    }
  | { readonly type: "vision" | "prefill"; readonly done: number; readonly total: number }
  | { readonly type: "want"; readonly item: number; readonly start: number; readonly end: number }
  /** Times are those of `clockMs`. */
  | { readonly type: "done"; readonly report: RequestReport }
  | { readonly type: "failed"; readonly error: PlainError }
);

/** One clock for all threads. `performance.now()` counts from each thread's own beginning. */
export function clockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Before there is an engine. */
export const NOTHING_IN_USE: EngineStats = {
  running: 0,
  waiting: 0,
  heldBlocks: 0,
  blocks: 0,
  visionBytes: 0,
  pinnedMedia: 0,
};
