/**
 * Filters over the tokens that may come next. A full vocabulary has 150 000 tokens, so nothing here sorts all of it unless the
 * distribution is nearly flat, and arrays of that length are made once for all sequences: what comes from here holds until the next call.
 * Knows no options, no history and no random numbers.
 */
import { expOfNegative } from "./exp.ts";

/** Ids with unnormalised probabilities; 1 is the likeliest token. Order carries no meaning but is always the same. */
export interface Candidates {
  readonly ids: Int32Array;
  readonly weights: Float64Array;
}

/** Ids with their logits. */
export interface Scores {
  readonly ids: Int32Array;
  readonly logits: Float32Array;
}

/** The k highest logits and all that equal the k-th, ids ascending. k = 0, or more than there are: all. */
export function keepTopK(logits: Float32Array, k: number): Scores {
  const all = { ids: allIds(logits.length), logits };
  return k <= 0 || k >= logits.length ? all : keepAtLeast(all, kthHighest(logits, k));
}

/** Spares exponentials: leaves out tokens that `keepMinP` of `p` is sure to leave out. */
export function keepNear(scores: Scores, p: number, temperature: number): Scores {
  if (p <= 0) return scores;
  return keepAtLeast(scores, highestOf(scores.logits) + temperature * (Math.log(p) - 1e-6));
}

function keepAtLeast({ ids, logits }: Scores, threshold: number): Scores {
  const places: number[] = [];
  for (let i = 0; i < logits.length; i++) if (logits[i] >= threshold) places.push(i);
  return { ids: Int32Array.from(places, (i) => ids[i]), logits: Float32Array.from(places, (i) => logits[i]) };
}

/** exp((logit − highest) / temperature). */
export function softmax({ ids, logits }: Scores, temperature: number): Candidates {
  if (room.length < logits.length) room = new Float64Array(logits.length);
  const weights = room.length === logits.length ? room : room.subarray(0, logits.length);
  weigh(weights, logits, highestOf(logits), temperature);
  return { ids, weights };
}

/** weights[i] = exp((logits[i] − highest) / temperature). A loop of its own, or V8 does not make the best of it. */
function weigh(weights: Float64Array, logits: Float32Array, highest: number, temperature: number): void {
  for (let i = 0; i < logits.length; i++) weights[i] = expOfNegative((logits[i] - highest) / temperature);
}

/** −Infinity where there is none. */
export function highestOf(logits: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i] > highest) highest = logits[i];
  return highest;
}

/**
 * The likeliest tokens whose probabilities reach `p` together (at least one), likeliest first, lower ids first among equals.
 * Looks at the tokens above a bound that is lowered until they suffice.
 */
export function keepTopP(candidates: Candidates, p: number): Candidates {
  if (p >= 1) return candidates;
  const { ids, weights } = candidates;
  const wanted = p * sumOf(weights);
  for (let bound = 1e-3; ; bound **= 2) {
    const above: number[] = [];
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      if (weights[i] < bound) continue;
      above.push(i);
      sum += weights[i];
    }
    // The margin covers another order of summation below.
    if (bound > 0 && sum < wanted * (1 + 1e-9)) continue; // the eighth bound is 0
    above.sort((a, b) => weights[b] - weights[a] || ids[a] - ids[b]);
    let kept = 0;
    for (let reached = 0; kept < above.length && (kept === 0 || reached < wanted); kept++)
      reached += weights[above[kept]];
    return pick(candidates, above.slice(0, kept));
  }
}

/** Tokens with at least `p` of the likeliest one's probability. */
export function keepMinP(candidates: Candidates, p: number): Candidates {
  if (p <= 0) return candidates;
  const { weights } = candidates;
  const kept: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i] >= p) kept.push(i);
  return pick(candidates, kept);
}

export function sumOf(weights: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i];
  return sum;
}

/** Of weights. */
let room = new Float64Array(0);
/** 0, 1, … of the last vocabulary. */
let idsOfVocabulary = new Int32Array(0);

/** Not to be written to. */
function allIds(count: number): Int32Array {
  if (idsOfVocabulary.length !== count) idsOfVocabulary = Int32Array.from({ length: count }, (_, id) => id);
  return idsOfVocabulary;
}

function pick({ ids, weights }: Candidates, places: readonly number[]): Candidates {
  return { ids: Int32Array.from(places, (i) => ids[i]), weights: Float64Array.from(places, (i) => weights[i]) };
}

/** The k-th highest value, counting equals: a min-heap of the k highest so far. */
function kthHighest(values: Float32Array, k: number): number {
  const heap = values.slice(0, k).sort(); // ascending order is a min-heap
  for (let i = k; i < values.length; i++) {
    const value = values[i];
    if (!(value > heap[0])) continue;
    let at = 0;
    for (let child = 1; child < k; child = 2 * at + 1) {
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= value) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
  }
  return heap[0];
}
