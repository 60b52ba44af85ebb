/**
 * Rounds a data set up to a multiple of the global batch, so that the sampler leaves nothing of a small set out.
 * Source: VILA `LLaVADataset.__init__` at b760c34.
 */
import type { Random } from "../util/random.ts";

export interface Rounding {
  /** Samples in the rounded set. */
  readonly length: number;
  /** How often the whole list is repeated first. */
  readonly repeats: number;
  /** How many more are drawn from the repeated list, without replacement. */
  readonly appended: number;
}

/**
 * @param isCompatible KEEPS the original's slip: a repetition that lands on the global batch exactly gets as many again. Default false.
 */
export function roundedLength(samples: number, globalBatch: number, isCompatible = false): Rounding {
  const missing = (length: number): number => globalBatch - (length % globalBatch);
  if (samples === 0 || samples % globalBatch === 0) return { length: samples, repeats: 1, appended: 0 };
  const repeats = Math.max(1, Math.floor(globalBatch / samples));
  const repeated = samples * repeats;
  const appended = !isCompatible && repeated % globalBatch === 0 ? 0 : missing(repeated);
  return { length: repeated + appended, repeats, appended };
}

/** Sample numbers of the rounded set. */
export function roundedIndices(samples: number, rounding: Rounding, random: Random): number[] {
  const repeated = Array.from({ length: samples * rounding.repeats }, (_, i) => i % samples);
  const pool = [...repeated];
  const drawn = Array.from({ length: rounding.appended }, (_, i) => {
    const j = i + Math.floor(random.nextFloat() * (pool.length - i));
    [pool[i], pool[j]] = [pool[j], pool[i]];
    return pool[i];
  });
  return [...repeated, ...drawn];
}
