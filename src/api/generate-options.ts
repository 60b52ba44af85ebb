/** Options of `model.generate`, and their check. */
import { checkSamplingOptions, type SamplingOptions } from "../engine/sampling-options.ts";
import { createStopText } from "../tokenizer/stop-text.ts";
import { RequestError } from "../util/errors.ts";
import type { Progress } from "./progress.ts";

/** How an answer is made. Without sampling options decoding is greedy, as the original's default. */
export interface GenerateOptions {
  /** Longest answer in tokens. Default: up to the context limit, as in the original. */
  readonly maxTokens?: number;
  /** 0 (default) is greedy. */
  readonly temperature?: number;
  /** Sample from the k likeliest tokens; 0 (default) is all. */
  readonly topK?: number;
  /** Sample from the smallest set of tokens with at least this probability. Default 1: all. */
  readonly topP?: number;
  /** Drop tokens below this share of the likeliest one's probability. Default 0. */
  readonly minP?: number;
  /** Above 1 discourages tokens that are in the prompt or the answer already. Default 1. */
  readonly repetitionPenalty?: number;
  /** Makes sampling repeatable. Default: a new seed for each answer. */
  readonly seed?: number;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: string | readonly string[];
  /** System message instead of the template's own. */
  readonly system?: string;
  /** Most tiles for one picture. Default: `max_tiles` of the checkpoint. */
  readonly maxTiles?: number;
  /** Stops the answer: iteration and promise end with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface CheckedGenerateOptions {
  readonly maxTokens: number | null;
  readonly maxTiles: number | null;
  readonly stop: readonly string[];
  readonly sampling: SamplingOptions;
  readonly onProgress: (progress: Progress) => void;
}

/** @throws RequestError when an option is out of its range. */
export function checkGenerateOptions(options: GenerateOptions): CheckedGenerateOptions {
  const { maxTokens, maxTiles, stop = [], system, temperature, topK, topP, minP, repetitionPenalty, seed } = options;
  const given = { temperature, topK, topP, minP, repetitionPenalty, seed };
  const sampling = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  checkSamplingOptions(sampling);
  const stops = typeof stop === "string" ? [stop] : stop;
  createStopText(stops);
  if (system !== undefined && typeof system !== "string")
    throw new RequestError("generate", `expected a text as system message, got ${typeof system}`);
  return {
    maxTokens: positiveOrNull("maxTokens", maxTokens),
    maxTiles: positiveOrNull("maxTiles", maxTiles),
    stop: stops,
    sampling,
    onProgress: options.onProgress ?? (() => {}),
  };
}

function positiveOrNull(name: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RequestError("generate", `expected ${name} to be a whole number of at least 1, got ${String(value)}`);
}
