/** Golden arrays of the quantisation set as plain f32, u8 or i8, and exact comparison that names the place. */
import { expect } from "vitest";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import { f16Table } from "../../src/quant/rounding.ts";
import { bf16ToF32 } from "../../src/util/half.ts";

/** Values of a float tensor as f32. */
export function floats(source: TensorSource, name: string): Float32Array {
  const data = source.data(name);
  switch (source.info(name)?.dtype) {
    case "f32":
      return data as Float32Array;
    case "f16":
      return Float32Array.from(data as Uint16Array, (bits) => f16Table()[bits]);
    case "bf16":
      return Float32Array.from(data as Uint16Array, bf16ToF32);
    default:
      throw new Error(`"${name}" is no float tensor`);
  }
}

export function shapeOf(source: TensorSource, name: string): readonly number[] {
  const info = source.info(name);
  if (!info) throw new Error(`golden tensor "${name}" is missing in ${source.label}`);
  return info.shape;
}

/** [rows, columns] of a matrix. */
export function matrixShape(source: TensorSource, name: string): readonly [number, number] {
  const [rows, columns] = shapeOf(source, name);
  return [rows, columns];
}

/** Fails at the first element that differs; −0 equals 0. */
export function expectSame(label: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length, `${label}: elements`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i] && !(Number.isNaN(actual[i]) && Number.isNaN(expected[i]))) {
      expect.fail(`${label}: element ${i} is ${actual[i]}, expected ${expected[i]}`);
    }
  }
}

/** Fails when an element is further off than `tolerance` times the expected value's magnitude. */
export function expectRelative(
  label: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  expect(actual.length, `${label}: elements`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i] - expected[i]) <= tolerance * Math.abs(expected[i]))) {
      expect.fail(`${label}: element ${i} is ${actual[i]}, expected ${expected[i]} ± ${tolerance} relative`);
    }
  }
}

/** ‖a − b‖ / ‖b‖ */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let error = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    error += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(error / norm);
}

/** Codes of packed nibbles, low nibble first. */
export function unpackNibbles(packed: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: packed.length * 2 }, (_, i) => (packed[i >> 1] >> (4 * (i & 1))) & 15);
}

export function bytes(data: HostArray): Uint8Array {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}
