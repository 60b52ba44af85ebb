/**
 * The canonical form of a quantised matrix [M, C] = [out, in]: what every file format is read into and what every backend packs
 * from. Pure data and its meaning; knows no file format, no kernel layout, no rounding rule.
 *
 * int8: w[m, c] = codes[m, c] · scales[m]; symmetric, one scale per output channel. Codes −127 … 127; a file may hold −128.
 * int4: w[m, c] = (code[m, c] − zeros[m, g]) · scales[m, g] with g = ⌊c / groupSize⌋; codes and zeros 0 … 15.
 *
 * Products are f32: one rounding.
 */
import { assert } from "../util/assert.ts";

/** Symmetric int8 per output channel. */
export interface Int8Weight {
  readonly format: "int8";
  /** [M, C] */
  readonly shape: readonly [M: number, C: number];
  /** [M, C] row-major. */
  readonly codes: Int8Array;
  /** [M] */
  readonly scales: Float32Array;
}

/** Unsigned int4 with a scale and a zero point for every `groupSize` inputs of a row. */
export interface Int4Weight {
  readonly format: "int4";
  /** [M, C]; `groupSize` divides C, and C is even. */
  readonly shape: readonly [M: number, C: number];
  readonly groupSize: number;
  /** [M, C / 2] row-major; the low nibble is the even column. */
  readonly codes: Uint8Array;
  /** [M, C / groupSize] */
  readonly scales: Float32Array;
  /** [M, C / groupSize], each 0 … 15; 8 everywhere means "without zero points". */
  readonly zeros: Uint8Array;
}

export type QuantizedWeight = Int8Weight | Int4Weight;

/** Group sizes that kernels take, the best one first. A reader may give others; `pack` of a backend refuses them. */
export const KERNEL_GROUP_SIZES: readonly number[] = [128, 64, 32];

/** Tells a quantised weight from a dense tensor. */
export function isQuantizedWeight(value: object): value is QuantizedWeight {
  return "format" in value && (value.format === "int8" || value.format === "int4");
}

/** Checks that the arrays have the sizes that the shape demands: an invariant of whoever made the weight. */
export function assertQuantizedWeight(weight: QuantizedWeight): void {
  const [M, C] = weight.shape;
  if (weight.format === "int8") {
    assert(weight.codes.length === M * C && weight.scales.length === M, `int8 weight [${M}, ${C}] with other sizes`);
    return;
  }
  const groups = C / weight.groupSize;
  assert(Number.isInteger(groups) && C % 2 === 0, `int4 weight [${M}, ${C}] in groups of ${weight.groupSize}`);
  assert(
    weight.codes.length === (M * C) / 2 && weight.scales.length === M * groups && weight.zeros.length === M * groups,
    `int4 weight [${M}, ${C}] with other sizes`,
  );
}

/** Bytes that codes, scales and zero points take. */
export function quantizedBytes(weight: QuantizedWeight): number {
  const zeros = weight.format === "int4" ? weight.zeros.byteLength : 0;
  return weight.codes.byteLength + weight.scales.byteLength + zeros;
}

/** Writes row `m` as f32 into out[start … start + C). */
export function dequantizeRow(weight: QuantizedWeight, m: number, out: Float32Array, start = 0): void {
  const [, C] = weight.shape;
  if (weight.format === "int8") {
    const { codes } = weight;
    const scale = weight.scales[m];
    for (let c = 0; c < C; c++) out[start + c] = codes[m * C + c] * scale;
    return;
  }
  const { codes, scales, zeros, groupSize } = weight;
  const groups = C / groupSize;
  for (let g = 0; g < groups; g++) {
    const scale = scales[m * groups + g];
    const zero = zeros[m * groups + g];
    for (let c = g * groupSize; c < (g + 1) * groupSize; c++) {
      const byte = codes[(m * C + c) >> 1];
      out[start + c] = ((c & 1 ? byte >> 4 : byte & 15) - zero) * scale;
    }
  }
}

/** The whole matrix [M, C] as f32. */
export function dequantize(weight: QuantizedWeight): Float32Array {
  const [M, C] = weight.shape;
  const out = new Float32Array(M * C);
  for (let m = 0; m < M; m++) dequantizeRow(weight, m, out, m * C);
  return out;
}

/** Rows [start, end), sharing memory. */
export function quantizedRows(weight: QuantizedWeight, start: number, end: number): QuantizedWeight {
  const [M, C] = weight.shape;
  assert(start >= 0 && start <= end && end <= M, `rows ${start} … ${end} of ${M}`);
  const shape = [end - start, C] as const;
  if (weight.format === "int8") {
    const { format, codes, scales } = weight;
    return { format, shape, codes: codes.subarray(start * C, end * C), scales: scales.subarray(start, end) };
  }
  const { format, groupSize, codes, scales, zeros } = weight;
  const groups = C / groupSize;
  return {
    format,
    shape,
    groupSize,
    codes: codes.subarray((start * C) / 2, (end * C) / 2),
    scales: scales.subarray(start * groups, end * groups),
    zeros: zeros.subarray(start * groups, end * groups),
  };
}
