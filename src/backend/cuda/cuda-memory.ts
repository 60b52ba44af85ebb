/**
 * Memory of a GPU. Freed pieces are kept by rounded size and handed out again: work is done in order, so a piece may be written anew as soon
 * as it was given back. What nobody frees (host data that was copied over, results that were dropped) is given back when the garbage collector
 * finds its storage.
 */
import { arrayView, BYTES_PER_ELEMENT, type DType, type HostArray } from "../../core/dtype.ts";
import { assert } from "../../util/assert.ts";
import { DeviceError } from "../../util/errors.ts";
import type { Operand, Storage } from "../backend.ts";
import { pooledSize } from "../pooled-size.ts";
import type { CudaBinding, HostBytes, Pointer } from "./binding.ts";

/** A piece of the GPU's memory. */
export interface CudaStorage extends Storage {
  readonly pointer: Pointer;
  /** Null for host data that was copied over and for views: `free` leaves these alone, as on host backends. */
  readonly piece: Piece | null;
  /** Keeps the memory behind a view. */
  readonly root: CudaStorage | null;
}

interface Piece {
  readonly pointer: Pointer;
  readonly bytes: number;
  isFree: boolean;
}

/** Bytes that small pieces are multiples of. */
const GRANULE_BYTES = 256;

/** Pieces up to this size are cut from blocks: asking the driver for each takes longer than most kernels. */
const PART_BYTES = 2 ** 20;
const BLOCK_BYTES = 64 * PART_BYTES;

export class CudaMemory {
  readonly #native: CudaBinding;
  readonly #free = new Map<number, Piece[]>();
  /** Rest of the newest block. */
  #rest = { pointer: 0, bytes: 0 };
  readonly #dropped = new FinalizationRegistry<Piece>((piece) => this.#giveBack(piece));

  constructor(native: CudaBinding) {
    this.#native = native;
  }

  alloc(dtype: DType, length: number): CudaStorage {
    const piece = this.#take(length * BYTES_PER_ELEMENT[dtype]);
    const storage: CudaStorage = { dtype, length, pointer: piece.pointer, piece, root: null };
    this.#dropped.register(storage, piece, piece);
    return storage;
  }

  zeros(dtype: DType, length: number): CudaStorage {
    const storage = this.alloc(dtype, length);
    this.#native.clear(storage.pointer, length * BYTES_PER_ELEMENT[dtype]);
    return storage;
  }

  free(storage: Storage): void {
    const { piece } = storage as CudaStorage;
    if (!piece || piece.isFree) return;
    this.#dropped.unregister(piece);
    this.#giveBack(piece);
  }

  wrap(dtype: DType, array: HostArray): CudaStorage {
    const piece = this.#take(array.byteLength);
    this.#native.upload(piece.pointer, array as HostBytes);
    const storage: CudaStorage = { dtype, length: array.length, pointer: piece.pointer, piece: null, root: null };
    this.#dropped.register(storage, piece, piece);
    return storage;
  }

  view(storage: Storage, start: number, length: number): CudaStorage {
    const whole = storage as CudaStorage;
    const { dtype } = whole;
    const pointer = whole.pointer + start * BYTES_PER_ELEMENT[dtype];
    return { dtype, length, pointer, piece: null, root: whole.root ?? whole };
  }

  /** While the GPU works towards it other work of this thread goes on. */
  async readWhenDone(storage: Storage, into?: HostArray): Promise<HostArray> {
    while (!this.#native.isIdle()) await new Promise(setImmediate);
    return this.read(storage, into);
  }

  read(storage: Storage, into?: HostArray): HostArray {
    const { dtype, length, pointer } = storage as CudaStorage;
    const array = into ?? arrayView(dtype, new ArrayBuffer(length * BYTES_PER_ELEMENT[dtype]), 0, length);
    this.#native.download(array as HostBytes, pointer);
    return array;
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    const size = BYTES_PER_ELEMENT[source.dtype];
    const to = (target as CudaStorage).pointer + targetStart * size;
    this.#native.copy(to, (source as CudaStorage).pointer, source.length * size);
  }

  #take(bytes: number): Piece {
    const rounded = pooledSize(bytes, GRANULE_BYTES);
    const known = this.#free.get(rounded)?.pop();
    if (known) {
      known.isFree = false;
      return known;
    }
    if (rounded > PART_BYTES) return { pointer: this.#allocate(rounded), bytes: rounded, isFree: false };
    if (this.#rest.bytes < rounded) this.#rest = { pointer: this.#allocate(BLOCK_BYTES), bytes: BLOCK_BYTES };
    const { pointer, bytes: left } = this.#rest;
    this.#rest = { pointer: pointer + rounded, bytes: left - rounded };
    return { pointer, bytes: rounded, isFree: false };
  }

  /** @throws DeviceError when nothing is left. */
  #allocate(bytes: number): Pointer {
    let pointer = this.#native.allocate(bytes);
    if (pointer === 0) {
      this.#releaseAll();
      pointer = this.#native.allocate(bytes);
    }
    if (pointer === 0) {
      throw new DeviceError(
        "cuda",
        `expected ${bytes} more bytes of GPU memory, got none. You can use smaller micro-batches`,
      );
    }
    return pointer;
  }

  #giveBack(piece: Piece): void {
    if (piece.isFree) return;
    piece.isFree = true;
    const list = this.#free.get(piece.bytes);
    if (list) list.push(piece);
    else this.#free.set(piece.bytes, [piece]);
  }

  #releaseAll(): void {
    for (const [bytes, list] of this.#free) {
      if (bytes <= PART_BYTES) continue; // parts of blocks
      for (const { pointer } of list) this.#native.release(pointer);
      this.#free.delete(bytes);
    }
  }
}

/** Address of an f32 operand. */
export function f32(operand: Operand): Pointer {
  assert(operand.dtype === "f32", `f32 operand expected, got ${operand.dtype}`);
  return (operand.storage as CudaStorage).pointer;
}

/** Address of an i32 operand. */
export function i32(operand: Operand): Pointer {
  assert(operand.dtype === "i32", `i32 operand expected, got ${operand.dtype}`);
  return (operand.storage as CudaStorage).pointer;
}

/** Address of an f32 operand, 0 for none. */
export function orNull(operand: Operand | null): Pointer {
  return operand ? f32(operand) : 0;
}
