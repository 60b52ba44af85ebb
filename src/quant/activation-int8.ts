/**
 * Dynamic int8 of activations, one scale per row (token), symmetric: scale = amax / 127, code = round(x / scale), ties to even, every
 * operation rounded to f32. A row of zeros has scale 0 and codes 0. This is the definition; kernels have their own, tested against it.
 * Source: smoothquant `smoothquant/fake_quant.py quantize_activation_per_token_absmax` (c61476d).
 *
 * DIFFERS: the original floors amax at 1e-5, so rows below it get few codes; `floor: true` gives that form. Its CUDA twin multiplies by
 * 127 / amax instead of dividing; `reciprocal: true` gives that one. They disagree in rows below 1e-5 only.
 */
import { ROUND_MAGIC } from "./rounding.ts";

const { fround } = Math;
const AMAX_FLOOR = fround(1e-5);

export interface ActivationOptions {
  /** Floors amax at 1e-5. Default false. */
  readonly floor?: boolean;
  /** Multiplies by fround(127 / amax) instead of dividing by the scale; where that overflows, codes are 0. Default false. */
  readonly reciprocal?: boolean;
}

export interface QuantizedRows {
  /** [T, C] */
  readonly codes: Int8Array;
  /** [T] */
  readonly scales: Float32Array;
}

/** Quantises the rows of x[T, C]. */
export function quantizeActivations(
  x: Float32Array,
  shape: readonly [T: number, C: number],
  { floor = false, reciprocal = false }: ActivationOptions = {},
): QuantizedRows {
  const [T, C] = shape;
  const codes = new Int8Array(T * C);
  const scales = new Float32Array(T);
  for (let t = 0; t < T; t++) {
    let amax = floor ? AMAX_FLOOR : 0;
    for (let i = t * C; i < (t + 1) * C; i++) amax = Math.max(amax, Math.abs(x[i]));
    if (amax === 0) continue;
    const scale = fround(amax / 127);
    const inverse = fround(127 / amax);
    scales[t] = scale;
    if (reciprocal && !Number.isFinite(inverse)) continue;
    for (let i = t * C; i < (t + 1) * C; i++) {
      const code = fround(reciprocal ? x[i] * inverse : x[i] / scale) + ROUND_MAGIC - ROUND_MAGIC;
      codes[i] = Math.min(127, Math.max(-127, code));
    }
  }
  return { codes, scales };
}
