/**
 * Chooses the next token from the logits of a position. Knows ids and numbers, no text and no model.
 * First come the tokens that are allowed at all, then the order of Hugging Face transformers: repetition penalty → presence and frequency
 * penalty (OpenAI's: over the answer alone) → temperature → top-k → top-p → min-p → draw. Greedy choice takes the penalties alone. Exact ties: greedy takes the lowest id (argmax of torch), top-k keeps all that equal the k-th, top-p prefers lower ids.
 * DIFFERS: arithmetic is float64; transformers filters in the logits' own type. The penalty covers the prompt's text as well
 * (as transformers does for prompts of ids; the original hands embeddings over, so there it sees the answer only).
 */
import { WeightsError } from "../util/errors.ts";
import { Random, randomSeed } from "../util/random.ts";
import { type Candidates, keepMinP, keepNear, keepTopK, keepTopP, softmax, sumOf } from "./candidates.ts";
import { checkSamplingOptions, type SamplingOptions } from "./sampling-options.ts";

/** Chooses tokens for one sequence; holds its random numbers and what it has seen. */
export class Sampler {
  readonly #options: ReturnType<typeof checkSamplingOptions>;
  readonly #random: Random;
  /** Ids that the repetition penalty applies to. */
  readonly #seen: Set<number>;
  /** How often the answer has each of its tokens. */
  readonly #counts = new Map<number, number>();

  /**
   * @param history Ids before the answer, for the repetition penalty. Ids without logits (media) may be among them.
   * @throws RequestError when an option is out of its range.
   */
  constructor(options: SamplingOptions = {}, history: Iterable<number> = []) {
    this.#options = checkSamplingOptions(options);
    this.#random = new Random(this.#options.seed ?? randomSeed());
    this.#seen = new Set(history);
  }

  /**
   * The next id for logits [V]. Remembers it for the penalties.
   *
   * @param allowed Bit mask of the ids that may come, as in `TokenConstraint`; null: all.
   * @throws WeightsError when the logits are no numbers.
   */
  next(logits: Float32Array, allowed: Uint32Array | null = null): number {
    const penalized = this.#penalize(allowed ? masked(logits, allowed) : logits);
    const best = argmax(penalized);
    const id = this.#options.temperature === 0 ? best : this.#draw(this.candidates(penalized));
    this.#seen.add(id);
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    return id;
  }

  /** The tokens that a draw may give, with their probabilities, from logits that were penalised already. Holds until any sampler's next call. */
  candidates(logits: Float32Array): Candidates {
    const { temperature, topK, topP, minP } = this.#options;
    const scores = keepTopK(logits, topK);
    const scaled = softmax(topP < 1 ? scores : keepNear(scores, minP, temperature), temperature);
    return keepMinP(keepTopP(scaled, topP), minP);
  }

  /** The same logits, or others in the room for changed ones, where they may lie already. */
  #penalize(logits: Float32Array): Float32Array {
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#options;
    const countsMatter = (presencePenalty !== 0 || frequencyPenalty !== 0) && this.#counts.size > 0;
    if (repetitionPenalty === 1 && !countsMatter) return logits;
    const penalized = roomForChanged(logits.length);
    if (penalized !== logits) penalized.set(logits);
    if (repetitionPenalty !== 1) {
      for (const id of this.#seen) {
        if (id < 0 || id >= logits.length) continue;
        const logit = logits[id];
        penalized[id] = logit < 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
      }
    }
    if (countsMatter) {
      for (const [id, count] of this.#counts) penalized[id] -= presencePenalty + count * frequencyPenalty;
    }
    return penalized;
  }

  /** Inverse of the distribution function, over the candidates in their order. */
  #draw({ ids, weights }: Candidates): number {
    let rest = this.#random.nextFloat() * sumOf(weights);
    for (let i = 0; i < ids.length; i++) {
      rest -= weights[i];
      if (rest < 0) return ids[i];
    }
    return ids[weights.findLastIndex((weight) => weight > 0)]; // rounding left a rest
  }
}

/** Logits that were changed, of the choice that is made now, whichever sequence it is for. */
let changed = new Float32Array(0);

function roomForChanged(length: number): Float32Array {
  if (changed.length !== length) changed = new Float32Array(length);
  return changed;
}

/** `logits` with −Infinity where the mask has no bit. */
function masked(logits: Float32Array, allowed: Uint32Array): Float32Array {
  const kept = roomForChanged(logits.length).fill(Number.NEGATIVE_INFINITY);
  const words = Math.min(allowed.length, (logits.length + 31) >>> 5);
  for (let word = 0; word < words; word++) {
    for (let bits = allowed[word]; bits !== 0; bits &= bits - 1) {
      const id = word * 32 + 31 - Math.clz32(bits & -bits);
      if (id < logits.length) kept[id] = logits[id];
    }
  }
  return kept;
}

/** The id of the highest logit, the lowest among equals. @throws WeightsError when there is none. */
export function argmax(logits: Float32Array): number {
  const V = logits.length;
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < V; ) {
    // Eight at a time while none is higher, nor no number: three times as fast, and everybody waits for it.
    if (
      id + 8 <= V &&
      logits[id] <= highest &&
      logits[id + 1] <= highest &&
      logits[id + 2] <= highest &&
      logits[id + 3] <= highest &&
      logits[id + 4] <= highest &&
      logits[id + 5] <= highest &&
      logits[id + 6] <= highest &&
      logits[id + 7] <= highest
    ) {
      id += 8;
      continue;
    }
    const logit = logits[id];
    if (Number.isNaN(logit)) {
      best = -1;
      break;
    }
    if (logit > highest) {
      highest = logit;
      best = id;
    }
    id++;
  }
  if (best >= 0 && highest < Number.POSITIVE_INFINITY) return best;
  throw new WeightsError(
    "sampler",
    "expected finite numbers as logits, got NaN or infinity. The weights may be damaged or of another model",
  );
}
