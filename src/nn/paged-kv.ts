/**
 * Keys and values of many sequences in blocks of 16 positions, so that memory is shared out as sequences grow and common beginnings are
 * held once. A `KvPool` owns the memory of all layers; a `PagedBatch` is what one forward pass over rows of several sequences needs.
 * Knows no ids, no reference counts and no eviction: whoever gives blocks to sequences (engine/) does.
 * Source: Kwon et al. 2023 (arXiv 2309.06180).
 */
import type { Backend, PagedAttentionOptions } from "../backend/backend.ts";
import { BYTES_PER_ELEMENT } from "../core/dtype.ts";
import { formatShape, type Shape } from "../core/shape.ts";
import type { Int8RowTensors } from "../tensor/op-checks.ts";
import * as ops from "../tensor/ops.ts";
import { Tensor } from "../tensor/tensor.ts";
import { DeviceError, RequestError, ShapeError } from "../util/errors.ts";
import type { AttentionCache } from "./kv-cache.ts";

/** Positions of a block. */
export const KV_BLOCK_SIZE = 16;

/** How keys and values are stored: as they are, or rounded to int8 with a scale per position and head. */
export type KvFormat = "f32" | "int8";

/** What a model keeps for a position. */
export interface KvSize {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Blocks of keys and values, whatever they are stored as. */
export interface BlockPool {
  readonly size: KvSize;
  /** Blocks 0 … blocks − 1 exist. */
  readonly blocks: number;
  /** Memory of all blocks. The system commits it as it is written. */
  readonly sizeBytes: number;
  readonly layers: readonly PoolLayer[];
  [Symbol.dispose](): void;
}

/** One layer's blocks. */
export interface PoolLayer {
  /** Puts k, v [T, Hkv, D] into `rows` of the pool: row r is position r mod 16 of block ⌊r / 16⌋. */
  write(rows: Int32Array, k: Tensor, v: Tensor): void;
  /** q [T, H, D] → [T, H, D]. */
  attend(q: Tensor, options: PagedAttentionOptions): Tensor;
}

/** Blocks of f32. */
export class KvPool implements BlockPool {
  readonly size: KvSize;
  readonly blocks: number;
  readonly sizeBytes: number;
  readonly layers: readonly PoolLayer[];
  readonly #owned: Tensor[] = [];

  /**
   * @param budgetBytes As many blocks as fit.
   * @throws RequestError when not one fits; DeviceError when there is no such memory.
   */
  constructor(backend: Backend, size: KvSize, budgetBytes: number) {
    const blockBytes = KvPool.blockBytes(size);
    this.size = size;
    this.blocks = blocksWithin(budgetBytes, blockBytes);
    this.sizeBytes = this.blocks * blockBytes;
    const shape = [this.blocks * KV_BLOCK_SIZE, size.kvHeads, size.headDim];
    this.layers = allocating(this, this.#owned, () => {
      const [keys, values] = [0, 1].map(() => allocate(backend, "f32", shape, this.#owned));
      return {
        write: (rows, k, v) => {
          ops.scatterRows(keys, rows, k);
          ops.scatterRows(values, rows, v);
        },
        attend: (q, options) => ops.pagedAttention(q, keys, values, options),
      };
    });
  }

  /** Memory of one block in all layers. */
  static blockBytes({ layers, kvHeads, headDim }: KvSize): number {
    return 2 * layers * KV_BLOCK_SIZE * kvHeads * headDim * BYTES_PER_ELEMENT.f32;
  }

  [Symbol.dispose](): void {
    freeAll(this.#owned);
  }
}

/**
 * Blocks of int8, one scale per position and head: 3.9 times as many positions as f32 in the same memory with heads of 128. Numbers are off
 * by at most 1/254 of their head's largest.
 */
export class Int8KvPool implements BlockPool {
  readonly size: KvSize;
  readonly blocks: number;
  readonly sizeBytes: number;
  readonly layers: readonly PoolLayer[];
  readonly #owned: Tensor[] = [];

  /** As `KvPool`. */
  constructor(backend: Backend, size: KvSize, budgetBytes: number) {
    const { kvHeads, headDim } = size;
    const blockBytes = Int8KvPool.blockBytes(size);
    this.size = size;
    this.blocks = blocksWithin(budgetBytes, blockBytes);
    this.sizeBytes = this.blocks * blockBytes;
    const rows = this.blocks * KV_BLOCK_SIZE;
    const int8Rows = (): Int8RowTensors => ({
      codes: allocate(backend, "i8", [rows, kvHeads, headDim], this.#owned),
      scales: allocate(backend, "f32", [rows, kvHeads], this.#owned),
    });
    this.layers = allocating(this, this.#owned, () => {
      const [keys, values] = [int8Rows(), int8Rows()];
      return {
        write: (places, k, v) => {
          ops.scatterRowsInt8(keys, places, k);
          ops.scatterRowsInt8(values, places, v);
        },
        attend: (q, options) => ops.pagedAttentionInt8(q, keys, values, options),
      };
    });
  }

  /** Memory of one block in all layers. */
  static blockBytes({ layers, kvHeads, headDim }: KvSize): number {
    return 2 * layers * KV_BLOCK_SIZE * kvHeads * (headDim * BYTES_PER_ELEMENT.i8 + BYTES_PER_ELEMENT.f32);
  }

  [Symbol.dispose](): void {
    freeAll(this.#owned);
  }
}

/** Rows of one sequence in a forward pass. */
export interface PagedRows {
  /** Blocks of the sequence in order, at least enough for `start` + `rows` positions. */
  readonly blocks: ArrayLike<number>;
  /** Positions that the blocks hold already. */
  readonly start: number;
  /** New positions, at least one. */
  readonly rows: number;
}

/**
 * A forward pass over new rows of several sequences, one sequence's rows behind the other's. Nothing is remembered: positions count as held
 * once whoever made the batch says so with the next one's `start`. Blocks that are written must belong to one sequence alone.
 */
export class PagedBatch {
  /** One per decoder layer. */
  readonly layers: readonly AttentionCache[];
  /** [ΣT]: of each row in its sequence. */
  readonly positions: Int32Array;
  /** [n + 1]: the rows of each sequence. */
  readonly rowOffsets: Int32Array;
  /** [n]: the last row of each sequence, where its next token is chosen. */
  readonly lastRows: Int32Array;

  /** @throws ShapeError when a sequence has no rows, or too few blocks for them. */
  constructor(pool: BlockPool, sequences: readonly PagedRows[]) {
    const n = sequences.length;
    const width = Math.max(1, ...sequences.map(({ start, rows }) => blocksFor(start + rows)));
    const blockTables = new Int32Array(n * width);
    const kvLengths = new Int32Array(n);
    this.rowOffsets = new Int32Array(n + 1);
    for (const [i, { blocks, start, rows }] of sequences.entries()) {
      const count = blocksFor(start + rows);
      if (!(rows >= 1 && start >= 0 && blocks.length >= count)) {
        throw new ShapeError(
          "paged_kv",
          `expected ${count} blocks for ${rows} rows behind ${start} positions of sequence ${i}, got ${blocks.length}`,
        );
      }
      for (let b = 0; b < count; b++) blockTables[i * width + b] = blocks[b];
      kvLengths[i] = start + rows;
      this.rowOffsets[i + 1] = this.rowOffsets[i] + rows;
    }
    this.lastRows = this.rowOffsets.slice(1).map((end) => end - 1);
    this.positions = new Int32Array(this.rowOffsets[n]);
    const places = new Int32Array(this.rowOffsets[n]); // rows of the pool
    for (const [i, { start, rows }] of sequences.entries()) {
      for (let t = 0; t < rows; t++) {
        const position = start + t;
        const block = blockTables[i * width + Math.floor(position / KV_BLOCK_SIZE)];
        this.positions[this.rowOffsets[i] + t] = position;
        places[this.rowOffsets[i] + t] = block * KV_BLOCK_SIZE + (position % KV_BLOCK_SIZE);
      }
    }
    const shared = { blockSize: KV_BLOCK_SIZE, cuSeqlensQ: this.rowOffsets, kvLengths, blockTables };
    this.layers = pool.layers.map((layer) => ({
      attend: (q, k, v, options) => {
        layer.write(places, k, v);
        return layer.attend(q, { ...shared, ...options });
      },
    }));
  }
}

/** Blocks that hold `positions` positions. */
export function blocksFor(positions: number): number {
  return Math.ceil(positions / KV_BLOCK_SIZE);
}

function blocksWithin(budgetBytes: number, blockBytes: number): number {
  const blocks = Math.floor(budgetBytes / blockBytes);
  if (blocks >= 1) return blocks;
  throw new RequestError(
    "paged_kv",
    `expected memory for at least one block of ${blockBytes} bytes, got ${budgetBytes}. You can give the cache more`,
  );
}

/** Makes every layer of a pool; on failure nothing stays allocated. */
function allocating(pool: BlockPool, owned: Tensor[], makeLayer: () => PoolLayer): PoolLayer[] {
  try {
    return Array.from({ length: pool.size.layers }, makeLayer);
  } catch (cause) {
    freeAll(owned);
    if (!(cause instanceof RangeError)) throw cause; // what a typed array that is too large throws
    throw new DeviceError(
      "paged_kv",
      `expected ${pool.sizeBytes} bytes of memory for keys and values, which the system refuses. You can give the cache less`,
      { cause },
    );
  }
}

/** Memory that no scope owns. */
function allocate(backend: Backend, dtype: "f32" | "i8", shape: Shape, owned: Tensor[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  if (length >= 2 ** 32) throw new RangeError(`${formatShape(shape)} is too large for an array`);
  const tensor = new Tensor(backend, backend.alloc(dtype, length), shape);
  owned.push(tensor);
  return tensor;
}

function freeAll(owned: Tensor[]): void {
  for (const tensor of owned.splice(0)) tensor.backend.free(tensor.root);
}
