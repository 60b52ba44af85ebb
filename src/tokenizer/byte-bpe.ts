/**
 * Byte-level byte-pair encoding of one pre-token: UTF-8 bytes → ids, lowest rank first, leftmost first among equals.
 * Knows no added tokens, no normalisation and no splitting.
 *
 * Ours instead of the `BPE` of @huggingface/tokenizers: that one is exact, but a single pre-token of 1 MB (a run of spaces)
 * takes about 10 s and one of 16 MB ends the process for want of heap. Here both are linear in memory, n·log n in time.
 */
import { CHAR_OF_BYTE } from "./byte-level.ts";
import type { MergeTable } from "./merge-table.ts";

export interface ByteBpeModel {
  /** Token → id. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Id of the token of each byte, −1 where the vocabulary has none (such bytes are dropped, as in HF tokenizers). */
  readonly byteIds: Int32Array;
  /** May be read when it is first looked at. @throws ConfigError when they are damaged. */
  readonly merges: MergeTable;
  /** A pre-token that is a token itself is taken whole. */
  readonly ignoreMerges: boolean;
}

/** Pre-tokens up to this many characters are remembered; longer ones hardly ever come twice. */
const CACHED_LENGTH = 64;
const CACHE_SIZE = 20_000;
/** In a queue key, the position takes the low bits: rank · 2³⁰ + position stays below 2⁵³ for 2²³ merge rules. */
const POSITION_RANGE = 2 ** 30;

export class ByteBpe {
  readonly #model: ByteBpeModel;
  readonly #encoder = new TextEncoder();
  readonly #cache = new Map<string, readonly number[]>();

  constructor(model: ByteBpeModel) {
    this.#model = model;
  }

  /** Appends the ids of `piece` to `out`. */
  encode(piece: string, out: number[]): void {
    const cached = this.#cache.get(piece);
    if (cached !== undefined) {
      for (const id of cached) out.push(id);
      return;
    }
    const start = out.length;
    this.#encodeBytes(this.#encoder.encode(piece), out);
    if (piece.length > CACHED_LENGTH) return;
    if (this.#cache.size >= CACHE_SIZE) this.#cache.clear();
    this.#cache.set(piece, out.slice(start));
  }

  #encodeBytes(bytes: Uint8Array, out: number[]): void {
    const { byteIds, ignoreMerges, vocab } = this.#model;
    if (ignoreMerges) {
      const whole = vocab.get(tokenOfBytes(bytes));
      if (whole !== undefined) {
        out.push(whole);
        return;
      }
    }
    const symbols = new Int32Array(bytes.length);
    let count = 0;
    for (const byte of bytes) if (byteIds[byte] >= 0) symbols[count++] = byteIds[byte];
    this.#mergeAll(symbols.subarray(0, count), out);
  }

  /** Symbols are a linked list in place; a queue holds candidate pairs, and a popped pair that has changed since is skipped. */
  #mergeAll(symbols: Int32Array, out: number[]): void {
    const n = symbols.length;
    if (n < 2) {
      if (n === 1) out.push(symbols[0]);
      return;
    }
    const { merges } = this.#model;
    const next = new Int32Array(n);
    const previous = new Int32Array(n);
    const queue = new NumberQueue(n + 1);
    for (let i = 0; i < n; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (i + 1 < n) offer(i);
    }
    while (queue.size > 0) {
      const key = queue.pop();
      const rank = Math.floor(key / POSITION_RANGE);
      const at = key - rank * POSITION_RANGE;
      const right = next[at];
      if (symbols[at] < 0 || right >= n || merges.rank(symbols[at], symbols[right]) !== rank) continue;
      symbols[at] = merges.merged(symbols[at], symbols[right]);
      symbols[right] = -1;
      next[at] = next[right];
      if (next[at] < n) {
        previous[next[at]] = at;
        offer(at);
      }
      if (previous[at] >= 0) offer(previous[at]);
    }
    for (let i = 0; i < n; i = next[i]) out.push(symbols[i]);

    function offer(at: number): void {
      const rank = merges.rank(symbols[at], symbols[next[at]]);
      if (rank >= 0) queue.push(rank * POSITION_RANGE + at);
    }
  }
}

/** A binary heap of numbers, smallest first. */
class NumberQueue {
  #items: Float64Array;
  size = 0;

  constructor(capacity: number) {
    this.#items = new Float64Array(capacity);
  }

  push(value: number): void {
    if (this.size === this.#items.length) {
      const grown = new Float64Array(this.size * 2);
      grown.set(this.#items);
      this.#items = grown;
    }
    const items = this.#items;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (items[parent] <= value) break;
      items[hole] = items[parent];
      hole = parent;
    }
    items[hole] = value;
  }

  /** The smallest; the queue must not be empty. */
  pop(): number {
    const items = this.#items;
    const smallest = items[0];
    const last = items[--this.size];
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && items[child + 1] < items[child]) child++;
      if (items[child] >= last) break;
      items[hole] = items[child];
      hole = child;
    }
    items[hole] = last;
    return smallest;
  }
}

function tokenOfBytes(bytes: Uint8Array): string {
  let token = "";
  for (const byte of bytes) token += CHAR_OF_BYTE[byte];
  return token;
}
