/**
 * Tiles that lie in another thread: asked for when the model wants them, a batch at a time and one batch ahead, and forgotten once they are
 * taken. Knows nothing of threads.
 */
import type { TileSource } from "../models/nvila/nvila-model.ts";
import { assert } from "../util/assert.ts";

/** Tiles [start, end) that have come. */
interface Arrived {
  readonly start: number;
  readonly end: number;
  /** [end − start, 3, S, S] */
  readonly pixels: Float32Array;
}

export class RemoteTiles implements TileSource {
  readonly count: number;
  readonly #want: (start: number, end: number) => void;
  #arrived: readonly Arrived[] = [];
  #isAsking = false;

  /** @param want Asks for tiles [start, end), which `receive` will bring. */
  constructor(count: number, want: (start: number, end: number) => void) {
    this.count = count;
    this.#want = want;
  }

  /** False while some of the tiles are on their way. */
  isReady(start: number, end: number): boolean {
    const missing = this.#firstMissing(start, end);
    if (missing === end) return true;
    this.#ask(missing, end);
    return false;
  }

  /** Takes the tiles and asks for as many behind them. */
  pixels(start: number, end: number): Float32Array {
    assert(this.#firstMissing(start, end) === end, "tiles are taken before they have come");
    const pixels = this.#read(start, end);
    this.#arrived = this.#arrived.filter((piece) => piece.end > end);
    const ahead = Math.min(this.count, end + (end - start));
    const missing = this.#firstMissing(end, ahead);
    if (missing < ahead) this.#ask(missing, ahead);
    return pixels;
  }

  /** Tiles [start, end) have come. */
  receive(start: number, end: number, pixels: Float32Array): void {
    this.#isAsking = false;
    this.#arrived = [...this.#arrived, { start, end, pixels }];
  }

  #ask(start: number, end: number): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#want(start, end);
  }

  /** The first tile of [start, end) that is not here; `end` when all are. */
  #firstMissing(start: number, end: number): number {
    let tile = start;
    for (let piece = this.#pieceWith(tile); tile < end && piece; piece = this.#pieceWith(tile)) tile = piece.end;
    return Math.min(tile, end);
  }

  #pieceWith(tile: number): Arrived | undefined {
    return this.#arrived.find(({ start, end }) => start <= tile && tile < end);
  }

  /** One piece is given as it is, several are joined. */
  #read(start: number, end: number): Float32Array {
    const first = this.#pieceWith(start) as Arrived;
    const floats = first.pixels.length / (first.end - first.start);
    if (first.end >= end) {
      return first.pixels.subarray((start - first.start) * floats, (end - first.start) * floats);
    }
    const all = new Float32Array((end - start) * floats);
    for (let tile = start; tile < end; ) {
      const piece = this.#pieceWith(tile) as Arrived;
      const to = Math.min(piece.end, end);
      all.set(
        piece.pixels.subarray((tile - piece.start) * floats, (to - piece.start) * floats),
        (tile - start) * floats,
      );
      tile = to;
    }
    return all;
  }
}
