/** Options of `model.generate`, and their check. */
import { checkLogprobs } from "../engine/logprobs.ts";
import { checkSamplingOptions, type SamplingOptions } from "../engine/sampling-options.ts";
import { createStopText } from "../tokenizer/stop-text.ts";
import { RequestError } from "../util/errors.ts";
import { type AnswerForm, checkAnswerForm, type ResponseFormat, type Tool, type ToolChoice } from "./answer-form.ts";
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
  /** −2 … 2: above 0 discourages tokens that the answer has already, once each. Default 0. */
  readonly presencePenalty?: number;
  /** −2 … 2: above 0 discourages tokens the more often the answer has them. Default 0. */
  readonly frequencyPenalty?: number;
  /** Makes sampling repeatable. Default: a new seed for each answer. */
  readonly seed?: number;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: string | readonly string[];
  /** Report how likely each token was, and this many alternatives, 0..20. Default: nothing. */
  readonly logprobs?: number;
  /**
   * What the answer must look like. With JSON the text always parses, and validates against the schema; what cannot be guaranteed is
   * refused. Default: any text.
   */
  readonly responseFormat?: ResponseFormat;
  /** Functions that the model may call. */
  readonly tools?: readonly Tool[];
  /** Whether it calls: as it likes ("auto", default), not at all, at least once, or just this one. */
  readonly toolChoice?: ToolChoice;
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
  readonly logprobs: number | null;
  readonly form: AnswerForm;
  readonly onProgress: (progress: Progress) => void;
}

/** @throws RequestError when an option is out of its range. */
export function checkGenerateOptions(options: GenerateOptions): CheckedGenerateOptions {
  const { maxTokens, maxTiles, stop = [], system, temperature, topK, topP, minP, repetitionPenalty, seed } = options;
  const { presencePenalty, frequencyPenalty, logprobs = null } = options;
  const given = { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed };
  const sampling = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  checkSamplingOptions(sampling);
  checkLogprobs(logprobs);
  const stops = typeof stop === "string" ? [stop] : stop;
  createStopText(stops);
  if (system !== undefined && typeof system !== "string")
    throw new RequestError("generate", `expected a text as system message, got ${typeof system}`);
  return {
    maxTokens: positiveOrNull("maxTokens", maxTokens),
    maxTiles: positiveOrNull("maxTiles", maxTiles),
    stop: stops,
    sampling,
    logprobs,
    form: checkAnswerForm(options),
    onProgress: options.onProgress ?? (() => {}),
  };
}

function positiveOrNull(name: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RequestError("generate", `expected ${name} to be a whole number of at least 1, got ${String(value)}`);
}
