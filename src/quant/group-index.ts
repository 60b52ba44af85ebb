/**
 * Group indices: formats with activation ordering give every input column the number of its group, in any order. Columns keep their
 * place here. Where runs of columns share a group, that is the same matrix in smaller groups; where they do not, no grouping along
 * the row can express it and the matrix becomes dense.
 */
import { type Int4Weight, KERNEL_GROUP_SIZES } from "../core/quantized-weight.ts";
import { f32ToF16 } from "../util/half.ts";
import type { PartReader } from "./packed-parts.ts";

/** The group of each of C columns, or null when `part` is absent. @throws WeightsError when one is out of range. */
export function readGroupIndex(parts: PartReader, part: string, C: number, groups: number): Int32Array | null {
  if (!parts.info(part)) return null;
  parts.expectShape(part, ["i32"], [C]);
  const index = parts.words(part);
  for (let c = 0; c < C; c++) {
    if (index[c] < 0 || index[c] >= groups) {
      throw parts.error(`${part} names group ${index[c]} for column ${c}, expected 0 … ${groups - 1}`);
    }
  }
  return index;
}

/** The largest group size whose runs of columns each lie in one group: `groupSize`, or a smaller one of the kernels'; else null. */
export function contiguousGroupSize(index: Int32Array, groupSize: number): number | null {
  const candidates = [groupSize, ...KERNEL_GROUP_SIZES.filter((size) => size < groupSize && groupSize % size === 0)];
  return candidates.find((size) => index.every((group, c) => group === index[c - (c % size)])) ?? null;
}

/** The weight whose group g of runs of `runSize` columns takes scale and zero point of index[g · runSize]. */
export function withGroupIndex(weight: Int4Weight, index: Int32Array, runSize: number): Int4Weight {
  const [M, C] = weight.shape;
  const stored = weight.scales.length / M;
  const runs = C / runSize;
  const from = (i: number): number => Math.floor(i / runs) * stored + index[(i % runs) * runSize];
  return {
    ...weight,
    groupSize: runSize,
    scales: Float32Array.from({ length: M * runs }, (_, i) => weight.scales[from(i)]),
    zeros: Uint8Array.from({ length: M * runs }, (_, i) => weight.zeros[from(i)]),
  };
}

/** Halves of (code − zero) · scale with the group that `index` gives each column. */
export function denseWithGroupIndex(weight: Int4Weight, index: Int32Array): Uint16Array {
  const [M, C] = weight.shape;
  const { codes, scales, zeros } = weight;
  const groups = scales.length / M;
  const out = new Uint16Array(M * C);
  for (let m = 0; m < M; m++) {
    for (let c = 0; c < C; c++) {
      const byte = codes[(m * C + c) >> 1];
      const g = m * groups + index[c];
      out[m * C + c] = f32ToF16(((c & 1 ? byte >> 4 : byte & 15) - zeros[g]) * scales[g]);
    }
  }
  return out;
}
