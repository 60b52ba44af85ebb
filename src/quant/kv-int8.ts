/**
 * Int8 of cached keys and values: symmetric, one scale per token and head, scale = amax / 127, code = clamp(round(x / scale), ±127),
 * ties to even, f32 steps. With f16 scales the codes follow the rounded scale; a scale that underflows to zero gives codes 0.
 * There is no original: NVILA has no quantised cache. The golden files pin this definition.
 */
import { ROUND_MAGIC, roundScale } from "./rounding.ts";

const { fround } = Math;

export interface QuantizedHeads {
  /** [T, Hkv, D] */
  readonly codes: Int8Array;
  /** [T, Hkv], already rounded to the type in which they are stored. */
  readonly scales: Float32Array;
}

/** Quantises x[T, Hkv, D]; `scaleDType` is the type in which scales are stored. */
export function quantizeKv(
  x: Float32Array,
  shape: readonly [T: number, Hkv: number, D: number],
  scaleDType: "f32" | "f16" = "f32",
): QuantizedHeads {
  const [T, Hkv, D] = shape;
  const codes = new Int8Array(T * Hkv * D);
  const scales = new Float32Array(T * Hkv);
  for (let head = 0; head < T * Hkv; head++) {
    let amax = 0;
    for (let i = head * D; i < (head + 1) * D; i++) amax = Math.max(amax, Math.abs(x[i]));
    const scale = roundScale(fround(amax / 127), scaleDType);
    scales[head] = scale;
    if (scale === 0) continue;
    for (let i = head * D; i < (head + 1) * D; i++) {
      codes[i] = Math.min(127, Math.max(-127, fround(x[i] / scale) + ROUND_MAGIC - ROUND_MAGIC));
    }
  }
  return { codes, scales };
}
