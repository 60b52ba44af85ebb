/** Inputs of benchmarks: noise in −1 … 1. Large arrays repeat one block of it; no kernel's speed depends on that. */
import type { HostArray } from "../src/core/dtype.ts";
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
