/** Inputs of benchmarks: noise in −1 … 1. Large arrays repeat one block of it; no kernel's speed depends on that. */
import type { HostArray } from "../src/core/dtype.ts";
import type { QuantizedWeight } from "../src/core/quantized-weight.ts";
import { f32ToBf16, f32ToF16 } from "../src/util/half.ts";

export type WeightDType = "f32" | "bf16" | "f16";

const BLOCK = 1 << 18;

function noise(length: number): Float32Array {
  let state = 20260101;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

export function randomWeights(dtype: WeightDType, length: number): HostArray {
  const first = noise(Math.min(length, BLOCK));
  const array = dtype === "f32" ? new Float32Array(length) : new Uint16Array(length);
  if (dtype === "f32") array.set(first);
  else array.set(first.map(dtype === "bf16" ? f32ToBf16 : f32ToF16));
  for (let filled = first.length; filled < length; filled *= 2) array.copyWithin(filled, 0, filled);
  return array;
}

export function randomF32(length: number): Float32Array {
  return randomWeights("f32", length) as Float32Array;
}

/** Random codes: int8 per output, or int4 in groups of 128 with scales that are halves and no zero points, as `nvila quantize` writes. */
export function randomQuantized(format: QuantizedWeight["format"], [M, C]: readonly [number, number]): QuantizedWeight {
  const shape = [M, C] as const;
  const bytes = new Uint8Array(randomF32(Math.ceil((M * C) / (format === "int8" ? 4 : 8))).buffer);
  if (format === "int8") {
    const codes = new Int8Array(bytes.buffer, 0, M * C).map((code) => (code === -128 ? 0 : code));
    return { format, shape, codes, scales: new Float32Array(M).fill(2 ** -12) };
  }
  const groupSize = 128;
  const scales = new Float32Array((M * C) / groupSize).fill(2 ** -8);
  return {
    format,
    shape,
    groupSize,
    codes: bytes.subarray(0, (M * C) / 2),
    scales,
    zeros: new Uint8Array(scales.length).fill(8),
  };
}
