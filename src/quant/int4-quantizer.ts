/**
 * Round-to-nearest int4 in groups along the input axis.
 *
 * | mode       | scale                        | zero                             | code                               |
 * | ---------- | ---------------------------- | -------------------------------- | ---------------------------------- |
 * | asymmetric | max(hi − lo, 1e-5) / 15      | clamp(−round(lo / scale), 0, 15) | clamp(round(w / scale) + zero, 0, 15) |
 * | symmetric  | max(amax, 1e-5) / 7.5        | 8                                | clamp(round(w / scale) + 8, 0, 15) |
 *
 * Every operation is rounded to f32, `round` goes to even at ties. `lo` is not forced below zero: a group that is all positive
 * saturates at the top. KEEPS: the original does so, and goldens pin it.
 * Source: llm-awq `awq/quantize/quantizer.py pseudo_quantize_tensor` (d6e797a); symmetric: compressed-tensors
 * `quantization/utils/helpers.py calculate_qparams`, whose range −8 … 7 is 15 steps wide.
 *
 * Scales may be rounded to the type in which they will be stored; zero and codes then follow the rounded scale.
 */
import type { Int4Weight } from "../core/quantized-weight.ts";
import { assert } from "../util/assert.ts";
import { ROUND_MAGIC, roundHalfEven, roundScale, type ScaleDType } from "./rounding.ts";

const { fround } = Math;
const SCALE_FLOOR = fround(1e-5);

export interface Int4Options {
  /** Inputs per group; must divide C. */
  readonly groupSize: number;
  /** True: no zero points (all 8). Default false. */
  readonly isSymmetric?: boolean;
  /** Type in which scales will be stored. Default f32. */
  readonly scaleDType?: ScaleDType;
}

/** Arrays that rows are quantised into, laid out as in `Int4Weight`. */
export interface Int4Rows {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array;
}

/** Quantises w[M, C]. */
export function quantizeInt4(
  w: Float32Array,
  shape: readonly [M: number, C: number],
  options: Int4Options,
): Int4Weight {
  const [M, C] = shape;
  const groups = C / options.groupSize;
  const rows: Int4Rows = {
    codes: new Uint8Array((M * C) / 2),
    scales: new Float32Array(M * groups),
    zeros: new Uint8Array(M * groups),
  };
  quantizeInt4Rows(w, M, C, options, rows);
  return { format: "int4", shape, groupSize: options.groupSize, ...rows };
}

/** Quantises `rows` rows of C values at the start of `w` into the start of `out`. */
export function quantizeInt4Rows(
  w: Float32Array,
  rows: number,
  C: number,
  { groupSize, isSymmetric = false, scaleDType = "f32" }: Int4Options,
  out: Int4Rows,
): void {
  assert(C % groupSize === 0 && groupSize % 2 === 0, `groups of ${groupSize} in rows of ${C}`);
  const groups = (rows * C) / groupSize;
  for (let g = 0; g < groups; g++) {
    const start = g * groupSize;
    const end = start + groupSize;
    let lo = w[start];
    let hi = lo;
    for (let i = start + 1; i < end; i++) {
      lo = Math.min(lo, w[i]); // measured: five times as fast as a comparison, which the processor cannot predict
      hi = Math.max(hi, w[i]);
    }
    const exact = isSymmetric
      ? fround(Math.max(hi, -lo, SCALE_FLOOR) / 7.5)
      : fround(Math.max(fround(hi - lo), SCALE_FLOOR) / 15);
    const scale = scaleDType === "f32" ? exact : roundScale(exact, scaleDType);
    const zero = isSymmetric ? 8 : Math.min(15, Math.max(0, -roundHalfEven(fround(lo / scale))));
    out.scales[g] = scale;
    out.zeros[g] = zero;
    for (let i = start; i < end; i += 2) {
      const even = fround(w[i] / scale) + ROUND_MAGIC - ROUND_MAGIC + zero;
      const odd = fround(w[i + 1] / scale) + ROUND_MAGIC - ROUND_MAGIC + zero;
      out.codes[i >> 1] = Math.min(15, Math.max(0, even)) | (Math.min(15, Math.max(0, odd)) << 4);
    }
  }
}
