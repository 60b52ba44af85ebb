/** How the next token is chosen, as checked numbers. Names are those of `generate`'s options. */
import { RequestError } from "../util/errors.ts";

/** Greedy when nothing is given. */
export interface SamplingOptions {
  /** 0 (default): always the likeliest token. */
  readonly temperature?: number;
  /** Keep the k likeliest tokens; 0 (default): all. */
  readonly topK?: number;
  /** Keep the likeliest tokens until their probabilities reach this. Default 1: all. */
  readonly topP?: number;
  /** Keep tokens with at least this share of the likeliest one's probability. Default 0: all. */
  readonly minP?: number;
  /** Above 1 makes tokens that were there before less likely. Default 1. */
  readonly repetitionPenalty?: number;
  /** Taken once from the logit of each token that the answer has already: −2 … 2, above 0 asks for new ones. Default 0. */
  readonly presencePenalty?: number;
  /** Taken from a token's logit as often as the answer has it already: −2 … 2. Default 0. */
  readonly frequencyPenalty?: number;
  /** Makes the choice repeatable: a whole number in 0 … 2⁵³ − 1. Default: another one each time. */
  readonly seed?: number;
}

type Checked = { readonly [Name in Exclude<keyof SamplingOptions, "seed">]-?: number } & {
  readonly seed: number | null;
};

/** The options with their defaults. @throws RequestError when one is out of its range. */
export function checkSamplingOptions(options: SamplingOptions): Checked {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, seed } = options;
  const { presencePenalty = 0, frequencyPenalty = 0 } = options;
  expectNumber("temperature", temperature, "a number of 0 or more", temperature >= 0);
  expectNumber("topK", topK, "a whole number of 0 or more", Number.isSafeInteger(topK) && topK >= 0);
  expectNumber("topP", topP, "a number in 0..1", topP >= 0 && topP <= 1);
  expectNumber("minP", minP, "a number in 0..1", minP >= 0 && minP <= 1);
  expectNumber("repetitionPenalty", repetitionPenalty, "a number above 0", repetitionPenalty > 0);
  for (const [name, value] of Object.entries({ presencePenalty, frequencyPenalty })) {
    expectNumber(name, value, "a number in -2..2", value >= -2 && value <= 2);
  }
  if (seed !== undefined)
    expectNumber("seed", seed, "a whole number in 0..2^53 - 1", Number.isSafeInteger(seed) && seed >= 0);
  const penalties = { repetitionPenalty, presencePenalty, frequencyPenalty };
  return { temperature, topK, topP, minP, ...penalties, seed: seed ?? null };
}

function expectNumber(name: string, value: unknown, expected: string, isInRange: boolean): void {
  if (typeof value === "number" && Number.isFinite(value) && isInRange) return;
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  throw new RequestError("sampling", `expected ${name} to be ${expected}, got ${shown}`);
}
