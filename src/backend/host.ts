/**
 * Memory of backends that compute on the host: storage is a typed array, freed arrays are recycled by rounded byte size.
 * Knows nothing of operations. Shared by `reference` and `cpu`.
 */
import { arrayView, BYTES_PER_ELEMENT, type DType, type HostArray } from "../core/dtype.ts";
import { assert } from "../util/assert.ts";
import type { Operand, Storage } from "./backend.ts";
import { pooledSize } from "./pooled-size.ts";

/** Host storage: the array is the memory. */
export interface HostStorage extends Storage {
  readonly array: HostArray;
  /** True when `array` came from `HostMemory.alloc` and may be recycled. */
  readonly isOwned: boolean;
}

/** Bytes that small buffers are multiples of. */
const GRANULE_BYTES = 64;

export class HostMemory {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #maxPooledBytes: number;
  #pooledBytes = 0;

  /** @param maxPooledBytes Freed memory kept for reuse; more is left to the garbage collector. Default 128 MiB. */
  constructor(maxPooledBytes = 128 * 1024 * 1024) {
    this.#maxPooledBytes = maxPooledBytes;
  }

  alloc(dtype: DType, length: number): HostStorage {
    const bytes = pooledSize(length * BYTES_PER_ELEMENT[dtype], GRANULE_BYTES);
    const recycled = this.#free.get(bytes)?.pop();
    if (recycled) this.#pooledBytes -= bytes;
    return { dtype, length, array: arrayView(dtype, recycled ?? new ArrayBuffer(bytes), 0, length), isOwned: true };
  }

  zeros(dtype: DType, length: number): HostStorage {
    const storage = this.alloc(dtype, length);
    storage.array.fill(0);
    return storage;
  }

  free(storage: Storage): void {
    const { array, isOwned } = storage as HostStorage;
    if (!isOwned) return;
    const buffer = array.buffer as ArrayBuffer;
    const bytes = buffer.byteLength;
    if (bytes > this.#maxPooledBytes) return;
    // Sizes in the order in which they were last freed: the first one has not been in use longest.
    const list = this.#free.get(bytes) ?? [];
    this.#free.delete(bytes);
    this.#free.set(bytes, list);
    list.push(buffer);
    this.#pooledBytes += bytes;
    while (this.#pooledBytes > this.#maxPooledBytes) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const [bytes, list] of this.#free) {
      if (list.pop()) {
        this.#pooledBytes -= bytes;
        return;
      }
      this.#free.delete(bytes);
    }
  }

  wrap(dtype: DType, array: HostArray): HostStorage {
    return { dtype, length: array.length, array, isOwned: false };
  }

  view(storage: Storage, start: number, length: number): HostStorage {
    const { array, dtype } = storage as HostStorage;
    return { dtype, length, array: array.subarray(start, start + length), isOwned: false };
  }

  async read(storage: Storage, into?: HostArray): Promise<HostArray> {
    const { array } = storage as HostStorage;
    if (into === undefined) return array.slice();
    into.set(array);
    return into;
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    (target as HostStorage).array.set((source as HostStorage).array, targetStart);
  }
}

/** The f32 array of an operand. */
export function f32(operand: Operand): Float32Array {
  assert(operand.dtype === "f32", `f32 operand expected, got ${operand.dtype}`);
  return (operand.storage as HostStorage).array as Float32Array;
}

/** The i32 array of an operand. */
export function i32(operand: Operand): Int32Array {
  assert(operand.dtype === "i32", `i32 operand expected, got ${operand.dtype}`);
  return (operand.storage as HostStorage).array as Int32Array;
}

/** The i8 array of an operand. */
export function i8(operand: Operand): Int8Array {
  assert(operand.dtype === "i8", `i8 operand expected, got ${operand.dtype}`);
  return (operand.storage as HostStorage).array as Int8Array;
}

/** The array of an operand, whatever its dtype. */
export function hostArray(operand: Operand): HostArray {
  return (operand.storage as HostStorage).array;
}
