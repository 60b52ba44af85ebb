/** The arithmetic that the scheduler asks for. Knows no model: `Engine` gives the real one, tests a mock. */
import type { Steps } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { MediaItem, Sequence } from "./sequence.ts";

/** Rows [start, end) of a sequence, to be read into its blocks. */
export interface RowSlice {
  readonly sequence: Sequence;
  readonly start: number;
  readonly end: number;
}

/** The arithmetic. Steps should be short: nobody gets a turn within one. */
export interface Runner {
  /** Blocks of the KV pool, and rows of each. */
  readonly blocks: number;
  readonly blockSize: number;
  /** Reads all slices; logits [slices, V] after the last row of each. */
  forward(slices: readonly RowSlice[], mediaRows: (item: MediaItem) => Float32Array): Steps<Tensor>;
  /** Rows [n, H] of each item; the items are of one kind. `maxTiles` is asked before each batch. */
  encode(items: readonly MediaItem[], hooks: EncodeHooks): Steps<Tensor[]>;
}

export interface EncodeHooks {
  /** Most tiles to take together now. */
  readonly maxTiles: () => number;
  /** Told how many tiles are begun. */
  readonly onTiles: (begun: number) => void;
  /** Told when tiles are asked for that are not there yet. */
  readonly onWait: () => void;
}
