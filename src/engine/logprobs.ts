/** Log-probabilities of the model's own distribution: nothing of sampling options, penalties or constraints is in them. */
import { RequestError } from "../util/errors.ts";
import { highestOf, keepTopK } from "./candidates.ts";
import { expOfNegative } from "./exp.ts";
import type { TokenLogprobs } from "./token-constraint.ts";

/** Most alternatives that can be asked for, as in OpenAI's API. */
export const MAX_TOP_LOGPROBS = 20;

/** @throws RequestError when it is no whole number in 0..20. */
export function checkLogprobs(count: number | null): void {
  if (count === null || (Number.isSafeInteger(count) && count >= 0 && count <= MAX_TOP_LOGPROBS)) return;
  throw new RequestError(
    "sampling",
    `expected logprobs to be a whole number in 0..${MAX_TOP_LOGPROBS}, got ${String(count)}`,
  );
}

/**
 * log-softmax of logits [V] at `id` and at the `count` highest; lower ids first among equals. Sums are float64.
 * A logit of −Infinity gives −Infinity.
 */
export function logprobsOf(logits: Float32Array, id: number, count: number): TokenLogprobs {
  const highest = highestOf(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += expOfNegative(logits[i] - highest);
  const total = highest + Math.log(sum);
  if (count === 0) return { logprob: logits[id] - total, top: [] };
  const { ids } = keepTopK(logits, count);
  const likeliest = [...ids].sort((a, b) => logits[b] - logits[a] || a - b).slice(0, count);
  return {
    logprob: logits[id] - total,
    top: likeliest.map((id) => ({ id, logprob: logits[id] - total })),
  };
}
