/** Everything that answering needs, as loading leaves it. Internal: users hold a `Nvila`. */
import type { Backend } from "../backend/backend.ts";
import type { EngineHandle } from "../engine/engine.ts";
import type { CheckpointFiles } from "../io/checkpoint-files.ts";
import type { NvilaConfig } from "../models/nvila/config.ts";
import type { ModelFacts } from "../models/nvila/model-facts.ts";
import type { NvilaModel, NvilaTokens } from "../models/nvila/nvila-model.ts";
import type { S2Merge } from "../models/nvila/s2-merge.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { EngineLimits } from "./engine-limits.ts";
import type { MediaCache } from "./media-cache.ts";

export interface LoadedModel {
  /** Hub id, or the folder's name. */
  readonly name: string;
  readonly files: CheckpointFiles;
  readonly config: NvilaConfig;
  readonly tokenizer: Tokenizer;
  readonly tokens: NvilaTokens;
  readonly facts: ModelFacts;
  /** How scales are merged; null: one scale. */
  readonly s2: S2Merge | null;
  /** What computes: "cpu" or "reference". */
  readonly device: string;
  /** Threads that compute. */
  readonly threads: number;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  /** How much may be done at once. */
  readonly limits: EngineLimits;
  /** Media that may be asked about again, cut. */
  readonly mediaCache: MediaCache;
  readonly loadMs: number;
  /** Frames of videos go to the model as pictures, as b760c34 does. */
  readonly framesAsImages: boolean;
  readonly onWarning: (message: string) => void;
  /** What the requests of one `Nvila` share. Closing it ends it. */
  openEngine(): EngineHandle;
}

/** A model in this thread, its weights and tensors at hand. */
export interface LocalModel extends LoadedModel {
  readonly model: NvilaModel;
  readonly backend: Backend;
}
