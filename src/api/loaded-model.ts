/** Everything that answering needs, as loading leaves it. Internal: users hold a `Nvila`. */
import type { Backend } from "../backend/backend.ts";
import type { CheckpointFiles } from "../io/checkpoint-files.ts";
import type { NvilaConfig } from "../models/nvila/config.ts";
import type { NvilaModel } from "../models/nvila/nvila-model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { EngineLimits } from "./engine-limits.ts";

export interface LoadedModel {
  /** Hub id, or the folder's name. */
  readonly name: string;
  readonly files: CheckpointFiles;
  readonly config: NvilaConfig;
  readonly tokenizer: Tokenizer;
  readonly model: NvilaModel;
  readonly backend: Backend;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  /** How much may be done at once. */
  readonly limits: EngineLimits;
  readonly loadMs: number;
  /** Frames of videos go to the model as pictures, as b760c34 does. */
  readonly framesAsImages: boolean;
  readonly onWarning: (message: string) => void;
}
