/**
 * Weights from a hash of tensor name and index: every machine makes the same numbers, in any order, from nothing. Used for checkpoints in
 * the real shape of released models, and for golden outputs at real size, which name this recipe.
 * All integer arithmetic is modulo 2³². Knows no model: names and shapes come from the caller.
 */
import { arrayView, BYTES_PER_ELEMENT, type HostArray } from "../core/dtype.ts";
import { elementCount, type Shape } from "../core/shape.ts";
import { assert } from "../util/assert.ts";
import { f32ToF16 } from "../util/half.ts";
import type { TensorInfo, TensorSource } from "./weights.ts";

export type RandomDType = "f32" | "bf16" | "f16";

/** Elements are spread evenly over offset ± scale. */
export interface Spread {
  readonly scale: number;
  readonly offset: number;
}

/** One step of the hash: 32 bits to 32 bits. */
function mix(value: number): number {
  let x = value;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return x ^ (x >>> 16);
}

/** FNV-1a over the bytes of UTF-8. */
function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** Start value of a tensor's hash. */
export function recipeKey(name: string, seed: number): number {
  return mix(fnv1a(name) ^ mix(seed)) | 0;
}

/** By kind of tensor: norms lie around 1 (they are the only weights with one axis), everything else around 0. */
export function recipeSpread(name: string, shape: Shape): Spread {
  if (name.endsWith(".bias")) return { scale: 0.02, offset: 0 };
  if (shape.length === 1) return { scale: 0.1, offset: 1 };
  if (name.endsWith("embeddings.position_embedding.weight")) return { scale: 0.25, offset: 0 };
  return { scale: 0.05, offset: 0 };
}

/** Elements [start, start + out.length) of a tensor in float32. */
export function fillF32(out: Float32Array, key: number, start: number, { scale, offset }: Spread): void {
  const first = (key + start) | 0;
  for (let i = 0; i < out.length; i++) {
    let x = (first + i) | 0;
    x ^= x >>> 16;
    x = Math.imul(x, 0x7feb352d);
    x ^= x >>> 15;
    x = Math.imul(x, 0x846ca68b);
    x ^= x >>> 16;
    out[i] = (((x >>> 8) - 8388608) / 8388608) * scale + offset; // float64 from left to right, rounded once
  }
}

/** Elements converted at a time: they stay in the first level of cache. */
const BLOCK = 4096;
const blockF32 = new Float32Array(BLOCK);
const blockBits = new Int32Array(blockF32.buffer);

/** Elements [start, start + out.length) in the dtype of `out`, rounded to nearest even from float32. */
export function fillRandom(out: HostArray, dtype: RandomDType, key: number, start: number, spread: Spread): void {
  if (dtype === "f32") {
    fillF32(out as Float32Array, key, start, spread);
    return;
  }
  const round = dtype === "bf16" ? roundBlockToBf16 : roundBlockToF16;
  for (let at = 0; at < out.length; at += BLOCK) {
    const count = Math.min(BLOCK, out.length - at);
    fillF32(blockF32.subarray(0, count), key, start + at, spread);
    round(out as Uint16Array, at, count);
  }
}

/** No value here is infinite or NaN. */
function roundBlockToBf16(out: Uint16Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const bits = blockBits[i];
    out[at + i] = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}

function roundBlockToF16(out: Uint16Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) out[at + i] = f32ToF16(blockF32[i]);
}

export interface RecipeOptions {
  readonly seed: number;
  readonly dtype: RandomDType;
  /** In front of a name when it is hashed, not when it is asked for. */
  readonly hashPrefix?: string;
  /** Default: `recipeSpread`. */
  readonly spreadOf?: (name: string, shape: Shape) => Spread;
}

/** Tensors of these names and shapes, made when they are asked for and not kept. */
export class RecipeTensors implements TensorSource {
  readonly label = "random weights";
  readonly names: readonly string[];
  readonly #shapes: ReadonlyMap<string, Shape>;
  readonly #options: RecipeOptions;

  constructor(shapes: ReadonlyMap<string, Shape>, options: RecipeOptions) {
    this.names = [...shapes.keys()];
    this.#shapes = shapes;
    this.#options = options;
  }

  info(name: string): TensorInfo | null {
    const shape = this.#shapes.get(name);
    return shape ? { dtype: this.#options.dtype, shape } : null;
  }

  data(name: string): HostArray {
    const shape = this.#shapes.get(name);
    assert(shape !== undefined, `no random tensor "${name}"`);
    const { dtype } = this.#options;
    const count = elementCount(shape);
    const out = arrayView(dtype, new ArrayBuffer(count * BYTES_PER_ELEMENT[dtype]), 0, count);
    this.fill(name, 0, out);
    return out;
  }

  /** Elements [start, start + out.length) of a tensor, in its dtype. */
  fill(name: string, start: number, out: HostArray): void {
    const { dtype, seed, hashPrefix = "", spreadOf = recipeSpread } = this.#options;
    const shape = this.#shapes.get(name);
    assert(shape !== undefined, `no random tensor "${name}"`);
    fillRandom(out, dtype, recipeKey(hashPrefix + name, seed), start, spreadOf(name, shape));
  }
}
