/**
 * Activations as integer codes, one scale for each row and group: scale = amax / levels, code = x / scale to the nearest, ties to even,
 * every operation rounded to f32. A group whose scale is 0 has codes 0; one with a value that is not finite has scale NaN and codes 0,
 * so that its results are NaN. Source for whole rows of int8: smoothquant `fake_quant.py quantize_activation_per_token_absmax`.
 */
import type { Int4Activations } from "../backend.ts";

/** Largest code of each kind: 127 · 256^n, so that a code is its highest byte (−127 … 127) and n lower ones (−128 … 127). */
export const LEVELS: Readonly<Record<Int4Activations, number>> = { int8: 127, int16: 127 * 256, int24: 127 * 65536 };

/** Adding and taking away 1.5 · 2^52 rounds a double to an integer, ties to even. */
const ROUND_MAGIC = 6755399441055744;
const { fround } = Math;

export interface RowCodes {
  /** [T, C] */
  readonly codes: Int32Array;
  /** [T, C / group] */
  readonly scales: Float32Array;
}

/** Quantises x[T, C]; `group` divides C. */
export function quantizeRows(
  x: Float32Array,
  [T, C]: readonly [T: number, C: number],
  group: number,
  levels: number,
): RowCodes {
  const codes = new Int32Array(T * C);
  const scales = new Float32Array(C === 0 ? 0 : (T * C) / group);
  for (let g = 0; g < scales.length; g++) {
    const [start, end] = [g * group, (g + 1) * group];
    let amax = 0;
    for (let i = start; i < end; i++) amax = Math.max(amax, Math.abs(x[i]));
    const scale = Number.isFinite(amax) ? fround(amax / levels) : Number.NaN;
    scales[g] = scale;
    if (!(scale > 0)) continue;
    for (let i = start; i < end; i++) {
      const code = fround(x[i] / scale) + ROUND_MAGIC - ROUND_MAGIC;
      codes[i] = Math.min(levels, Math.max(-levels, code)); // beyond only where the scale is subnormal
    }
  }
  return { codes, scales };
}
