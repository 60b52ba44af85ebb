/** Operator goldens: inputs, upstream gradients and results of one case, and a run of it through the tape. */
import { expect } from "vitest";
import type { Backend, Storage } from "../../src/backend/backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { elementCount } from "../../src/core/shape.ts";
import { Tape } from "../../src/tensor/tape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { readGoldenJson } from "../golden/golden-dir.ts";
import { goldenTensors } from "../models/golden-tensors.ts";

export interface GoldenCase {
  readonly id: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly upstream: Readonly<Record<string, string>>;
  readonly grads: Readonly<Record<string, string>>;
}

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export interface GoldenOp<C = GoldenCase> {
  readonly tolerance: Tolerance;
  readonly cases: readonly C[];
  readonly source: TensorSource;
}

export function goldenOp<C = GoldenCase>(dir: string, op: string): GoldenOp<C> {
  const { tolerance, cases } = readGoldenJson<{ tolerance: Tolerance; cases: C[] }>(dir, `training/ops/${op}.json`);
  return { tolerance, cases, source: goldenTensors(dir, `training/ops/${op}.safetensors`) };
}

/** f32 values of a golden tensor. */
export function valuesOf(source: TensorSource, name: string): Float32Array {
  return source.data(name) as Float32Array;
}

/** Integers of an i64 tensor. */
export function integersOf(source: TensorSource, name: string): Int32Array {
  const words = source.data(name) as Int32Array;
  return Int32Array.from({ length: words.length / 2 }, (_, i) => words[2 * i]);
}

export function shapeOf(source: TensorSource, name: string): readonly number[] {
  const info = source.info(name);
  if (!info) throw new Error(`golden tensor "${name}" is missing in ${source.label}`);
  return info.shape;
}

/** A tensor of the file on a backend, its memory its own. */
export function tensorOf(backend: Backend, source: TensorSource, name: string): Tensor {
  return Tensor.from(backend, "f32", valuesOf(source, name).slice(), shapeOf(source, name));
}

/** Tensors that get a gradient, and where it is added. */
export class Leaves {
  readonly gradients = new Map<string, Tensor>();
  readonly parameters = new Map<Storage, Tensor>();
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  add(name: string, tensor: Tensor): Tensor {
    const { length } = tensor.root;
    const gradient = Tensor.from(this.#backend, "f32", new Float32Array(length), [length]);
    this.gradients.set(name, gradient);
    this.parameters.set(tensor.root, gradient);
    return tensor;
  }
}

/** Runs `body` on a tape, feeds `upstream` into its result and goes back. */
export function runBackward(
  backend: Backend,
  leaves: Leaves,
  upstream: Float32Array | null,
  body: () => Tensor,
): Tensor {
  const tape = new Tape(backend, leaves.parameters);
  const output = tape.record(body);
  if (upstream) tape.pass(output, Tensor.from(backend, "f32", upstream.slice(), output.shape));
  tape.backward();
  return output;
}

export function expectWithin(
  label: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol, atol }: Tolerance,
): void {
  expect(actual.length, `${label}: number of elements`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (distance <= atol + rtol * Math.abs(expected[i]) || Object.is(actual[i], expected[i])) continue;
    expect.fail(`${label}: element ${i} is ${actual[i]}, expected ${expected[i]} (off by ${distance})`);
  }
}

/** [C, h, w] → [h, w, C]. */
export function channelsLast(values: Float32Array, [C, h, w]: readonly number[]): Float32Array {
  const out = new Float32Array(elementCount([C, h, w]));
  for (let c = 0; c < C; c++) for (let p = 0; p < h * w; p++) out[p * C + c] = values[c * h * w + p];
  return out;
}
