/**
 * A runner without a model, with a clock of its own. The next token of a sequence is a number made of everything that its blocks hold, so
 * that a wrong, missing or shared row shows in the answer. What it does is written down.
 */
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import type { EncodeHooks, RowSlice, Runner } from "../../src/engine/runner.ts";
import type { MediaItem } from "../../src/engine/sequence.ts";
import type { Steps } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

export const VOCABULARY = 97;
const LAYERS = 4;
const backend = new ReferenceBackend();

/** Milliseconds of virtual time. */
export interface Costs {
  /** One layer of a pass over one row, and over each further one. */
  readonly layerMs: number;
  readonly rowMs: number;
  /** One layer of the tower over one tile. */
  readonly tileMs: number;
}

export class MockRunner implements Runner {
  readonly blocks: number;
  readonly blockSize = 4;
  readonly costs: Costs;
  /** Virtual time. */
  nowMs = 0;
  /** Items that were encoded, as often as they were. */
  readonly encoded: string[] = [];
  /** Rows that were read in all. */
  rowsRead = 0;
  /** A number for each row of the pool. */
  readonly #pool: number[];

  constructor(blocks: number, costs: Costs = { layerMs: 1, rowMs: 0.1, tileMs: 30 }) {
    this.blocks = blocks;
    this.costs = costs;
    this.#pool = new Array<number>(blocks * this.blockSize).fill(-1);
  }

  *forward(slices: readonly RowSlice[], mediaRows: (item: MediaItem) => Float32Array): Steps<Tensor> {
    const places = slices.map(({ sequence: { blocks } }) => [...blocks]);
    const rows = slices.reduce((sum, { start, end }) => sum + end - start, 0);
    for (const [s, { sequence, start, end }] of slices.entries()) {
      const values = sequence.parts(start, end).flatMap(({ ids, media, from, to }) => {
        if (ids) return [...ids];
        return media ? [...mediaRows(media).subarray(from, to)] : [];
      });
      for (const [i, value] of values.entries()) this.#pool[this.#place(places[s], start + i)] = value;
    }
    for (let layer = 0; layer < LAYERS; layer++) {
      this.nowMs += this.costs.layerMs + (rows - 1) * this.costs.rowMs;
      yield;
    }
    this.rowsRead += rows;
    const logits = new Float32Array(slices.length * VOCABULARY);
    for (const [s, { end }] of slices.entries()) {
      const held = Array.from({ length: end }, (_, row) => this.#pool[this.#place(places[s], row)]);
      logits[s * VOCABULARY + nextToken(held)] = 1;
    }
    return Tensor.from(backend, "f32", logits, [slices.length, VOCABULARY]);
  }

  *encode(items: readonly MediaItem[], { maxTiles, onTiles, onWait }: EncodeHooks): Steps<Tensor[]> {
    const total = items.reduce((sum, { tiles }) => sum + tiles.count, 0);
    for (let tile = 0; tile < total; ) {
      while (items.some(({ tiles }) => tiles.isReady?.(0, tiles.count) === false)) {
        onWait();
        yield;
      }
      onTiles(tile);
      const batch = Math.min(maxTiles(), 8, total - tile);
      for (let layer = 0; layer < LAYERS; layer++) {
        this.nowMs += batch * this.costs.tileMs;
        yield;
      }
      tile += batch;
    }
    this.encoded.push(...items.map(({ key }) => key));
    return items.map((item) => Tensor.from(backend, "f32", rowsOf(item), [item.rows, 1]));
  }

  #place(blocks: readonly number[], row: number): number {
    return blocks[Math.floor(row / this.blockSize)] * this.blockSize + (row % this.blockSize);
  }
}

/** What the mock makes of an item. */
export function rowsOf({ key, rows }: MediaItem): Float32Array {
  let seed = 7;
  for (const character of key) seed = (seed * 31 + character.charCodeAt(0)) % 1009;
  return Float32Array.from({ length: rows }, (_, i) => 1000 + ((seed * (i + 3)) % 1013));
}

/** The next token after rows with these values. */
export function nextToken(rows: readonly number[]): number {
  let state = 17;
  for (const value of rows) state = (state * 33 + value) % 1_000_003;
  return state % VOCABULARY;
}

/** A picture of the mock. */
export function picture(key: string, rows: number, tiles: number, kind: MediaItem["kind"] = "image"): MediaItem {
  const source = { count: tiles, pixels: () => new Float32Array(0) };
  return { kind, key, rows, tiles: source, blockSize: null };
}

/** The definition: the answer to `prompt`, all rows read for each token. */
export function define(prompt: readonly (Int32Array | MediaItem)[], count: number): number[] {
  const rows = prompt.flatMap((item) => (item instanceof Int32Array ? [...item] : [...rowsOf(item)]));
  const tokens: number[] = [];
  for (let i = 0; i < count; i++) tokens.push(nextToken([...rows, ...tokens]));
  return tokens;
}
