/** Options of `model.generate`. */
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
