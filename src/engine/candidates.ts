/**
 * Filters over the tokens that may come next. A full vocabulary has 150 000 tokens, so nothing here sorts all of it unless the
 * distribution is nearly flat. Knows no options, no history and no random numbers.
 */

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
  if (k <= 0 || k >= logits.length) return { ids: allIds(logits.length), logits };
  const threshold = kthHighest(logits, k);
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id] >= threshold) ids.push(id);
  return { ids: Int32Array.from(ids), logits: Float32Array.from(ids, (id) => logits[id]) };
}

/** exp((logit − highest) / temperature). */
export function softmax({ ids, logits }: Scores, temperature: number): Candidates {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i] > highest) highest = logits[i];
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) weights[i] = Math.exp((logits[i] - highest) / temperature);
  return { ids, weights };
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

function allIds(count: number): Int32Array {
  const ids = new Int32Array(count);
  for (let id = 0; id < count; id++) ids[id] = id;
  return ids;
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
