/**
 * Round-to-nearest int8 per output channel: scale[m] = max(max_c |w[m, c]|, 1e-5) / 127, code = clamp(round(w / scale), −127, 127).
 * Symmetric, static. Every operation is rounded to f32, `round` goes to even at ties.
 * Source: llm-awq `awq/quantize/w8a8_linear.py W8A8OF16LinearDynamicInputScale.from_linear` (d6e797a).
 */
import type { Int8Weight } from "../core/quantized-weight.ts";
import { ROUND_MAGIC } from "./rounding.ts";

const { fround } = Math;
const AMAX_FLOOR = fround(1e-5);

/** Arrays that rows are quantised into, laid out as in `Int8Weight`. */
export interface Int8Rows {
  readonly codes: Int8Array;
  readonly scales: Float32Array;
}

/** Quantises w[M, C]. */
export function quantizeInt8Weight(w: Float32Array, shape: readonly [M: number, C: number]): Int8Weight {
  const [M, C] = shape;
  const rows: Int8Rows = { codes: new Int8Array(M * C), scales: new Float32Array(M) };
  quantizeInt8Rows(w, M, C, rows);
  return { format: "int8", shape, ...rows };
}

/** Quantises `rows` rows of C values at the start of `w` into the start of `out`. */
export function quantizeInt8Rows(w: Float32Array, rows: number, C: number, out: Int8Rows): void {
  const { codes } = out;
  for (let m = 0; m < rows; m++) {
    const start = m * C;
    const end = start + C;
    let amax = AMAX_FLOOR;
    for (let i = start; i < end; i++) amax = Math.max(amax, Math.abs(w[i]));
    const scale = fround(amax / 127);
    out.scales[m] = scale;
    for (let i = start; i < end; i++) {
      codes[i] = Math.min(127, Math.max(-127, fround(w[i] / scale) + ROUND_MAGIC - ROUND_MAGIC));
    }
  }
}
