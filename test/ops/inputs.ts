/** Inputs of op cases: from a description to host arrays, the same numbers on every run. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../src/backend/backend.ts";
import { mapFile } from "../../src/backend/cpu/file-map.ts";
import { arrayView, BYTES_PER_ELEMENT, type DType, type HostArray } from "../../src/core/dtype.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { f32ToBf16, f32ToF16 } from "../../src/util/half.ts";

export interface InputSpec {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Element `i`, with a source of noise in −1 … 1. Default: the noise. Values are rounded to the dtype. */
  readonly fill?: (i: number, noise: () => number) => number;
  /** The values of `fill` are bits of bf16 or f16. */
  readonly isBits?: boolean;
  /** Elements that are set after filling: NaN, infinities. */
  readonly special?: Readonly<Record<number, number>>;
}

/** Noise in −1 … 1, by a 32-bit congruence. */
export function noiseSource(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) + 12345;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

/** f32 noise in −amplitude … amplitude. */
export function noiseTensor(backend: Backend, shape: Shape, seed: number, amplitude = 1): Tensor {
  const noise = noiseSource(seed);
  const values = Float32Array.from({ length: elementCount(shape) }, () => amplitude * noise());
  return Tensor.from(backend, "f32", values, shape);
}

export function makeInput(spec: InputSpec, seed: number): HostArray {
  const noise = noiseSource(seed);
  const count = elementCount(spec.shape);
  const array = arrayView(spec.dtype, new ArrayBuffer(count * BYTES_PER_ELEMENT[spec.dtype]), 0, count);
  const encode = spec.isBits ? (bits: number) => bits : encoderOf(spec.dtype);
  for (let i = 0; i < count; i++) array[i] = encode(spec.fill ? spec.fill(i, noise) : noise());
  for (const [i, value] of Object.entries(spec.special ?? {})) array[Number(i)] = encode(value);
  return array;
}

function encoderOf(dtype: DType): (value: number) => number {
  if (dtype === "bf16") return f32ToBf16;
  if (dtype === "f16") return f32ToF16;
  return (value) => value;
}

/** The same elements at an address that is no multiple of their size, as in a mapped checkpoint. Null without the native addon. */
export function atOddAddress(dtype: DType, array: HostArray): HostArray | null {
  const folder = mkdtempSync(join(tmpdir(), "nvila-odd-"));
  try {
    const path = join(folder, "weights");
    writeFileSync(
      path,
      Buffer.concat([Buffer.alloc(1), new Uint8Array(array.buffer, array.byteOffset, array.byteLength)]),
    );
    const map = mapFile(path);
    return map && arrayView(dtype, map.view(1, array.byteLength), 0, array.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The sizes of a case, for its name. */
export const sizes = (values: Readonly<Record<string, unknown>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
