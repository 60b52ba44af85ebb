/**
 * Keys and values of one sequence, one `LayerCache` per decoder layer, contiguous [capacity, Hkv, D] in f32. Capacity doubles up to
 * `maxTokens`. Lengths change only by `commit`, after all layers have run, so a forward pass that was abandoned half-way leaves the
 * cache as it was. Layers reach the cache through `attend` alone: a block-wise cache is another class with that method.
 */
import type { AttentionOptions, Backend } from "../backend/backend.ts";
import { BYTES_PER_ELEMENT } from "../core/dtype.ts";
import { formatShape } from "../core/shape.ts";
import * as ops from "../tensor/ops.ts";
import { Tensor } from "../tensor/tensor.ts";
import { RequestError, ShapeError } from "../util/errors.ts";

/** Rows of the first allocation; short chats never grow. */
const FIRST_CAPACITY = 256;

export interface KvCacheSize {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Positions that the sequence may reach in all. */
  readonly maxTokens: number;
}

export type AttendOptions = Pick<AttentionOptions, "scale" | "mayRound">;

/** What an attention layer needs of a cache. */
export interface AttentionCache {
  /** Takes this step's k, v [T, Hkv, D] behind the cached ones and attends q [T, H, D] to all of them: → [T, H, D]. */
  attend(q: Tensor, k: Tensor, v: Tensor, options: AttendOptions): Tensor;
}

export class KvCache {
  readonly size: KvCacheSize;
  readonly layers: readonly LayerCache[];
  #length = 0;

  constructor(backend: Backend, size: KvCacheSize) {
    this.size = size;
    this.layers = Array.from({ length: size.layers }, () => new LayerCache(backend, this));
  }

  /** Positions that all layers hold. */
  get length(): number {
    return this.#length;
  }

  /** Memory held now. */
  get sizeBytes(): number {
    return this.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  }

  /** Makes the `tokens` rows that every layer has just written count. */
  commit(tokens: number): void {
    this.#length += tokens;
  }

  /** Forgets all positions from `length` on. @throws ShapeError when the cache is shorter. */
  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.#length)) {
      throw new ShapeError("kv_cache", `expected a length in 0..${this.#length}, got ${length}`);
    }
    this.#length = length;
  }

  [Symbol.dispose](): void {
    for (const layer of this.layers) layer[Symbol.dispose]();
    this.#length = 0;
  }
}

/** One layer's keys and values. */
export class LayerCache implements AttentionCache {
  readonly #backend: Backend;
  readonly #cache: KvCache;
  #keys: Tensor | null = null; // [capacity, Hkv, D]
  #values: Tensor | null = null; // [capacity, Hkv, D]

  constructor(backend: Backend, cache: KvCache) {
    this.#backend = backend;
    this.#cache = cache;
  }

  get sizeBytes(): number {
    return [this.#keys, this.#values].reduce(
      (sum, t) => sum + (t ? t.storage.length * BYTES_PER_ELEMENT[t.dtype] : 0),
      0,
    );
  }

  attend(q: Tensor, k: Tensor, v: Tensor, options: AttendOptions): Tensor {
    const all = this.append(k, v);
    return ops.attention(q, all.keys, all.values, { ...options, causal: true }); // [T, H, D]
  }

  /**
   * Writes k, v [T, Hkv, D] behind the committed rows; returns views of all rows [length + T, Hkv, D].
   * @throws RequestError when the sequence would exceed `maxTokens`.
   */
  append(k: Tensor, v: Tensor): { keys: Tensor; values: Tensor } {
    const { kvHeads, headDim, maxTokens } = this.#cache.size;
    const start = this.#cache.length;
    const end = start + k.shape[0];
    if (k.shape[1] !== kvHeads || k.shape[2] !== headDim) {
      throw new ShapeError("kv_cache", `expected keys [T, ${kvHeads}, ${headDim}], got ${formatShape(k.shape)}`);
    }
    if (end > maxTokens) throw new RequestError("kv_cache", `expected at most ${maxTokens} positions, got ${end}`);
    const keys = this.#withRoom(this.#keys, end);
    this.#keys = keys;
    const values = this.#withRoom(this.#values, end);
    this.#values = values;
    ops.copyInto(keys, start, k);
    ops.copyInto(values, start, v);
    return { keys: keys.rows(0, end), values: values.rows(0, end) };
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.#keys, this.#values]) if (tensor) this.#backend.free(tensor.root);
    this.#keys = this.#values = null;
  }

  /** `old`, or twice its capacity (as often as needed for `rows`) with the committed rows copied. Owned by the cache, not by a scope. */
  #withRoom(old: Tensor | null, rows: number): Tensor {
    if (old && rows <= old.shape[0]) return old;
    const { kvHeads, headDim, maxTokens } = this.#cache.size;
    let capacity = old?.shape[0] ?? FIRST_CAPACITY;
    while (capacity < rows) capacity *= 2;
    capacity = Math.min(capacity, maxTokens);
    const grown = new Tensor(this.#backend, this.#backend.alloc("f32", capacity * kvHeads * headDim), [
      capacity,
      kvHeads,
      headDim,
    ]);
    if (old) {
      ops.copyInto(grown, 0, old.rows(0, this.#cache.length));
      this.#backend.free(old.root);
    }
    return grown;
  }
}
