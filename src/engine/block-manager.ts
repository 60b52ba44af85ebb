/**
 * Who holds which block of the KV pool, and which blocks may be used again: the prefix cache. A full block has a name that stands for
 * everything up to its end: the name of the block before it and what its own rows hold (text ids; media by content key and row). Names are
 * interned, not hashed, so that two prompts can never be taken for one another. Blocks that nobody holds stay until room is needed, the
 * longest unused one goes first; a chain is given back from its end, so that no block outlives those before it.
 * Knows no tensors. After vLLM's automatic prefix caching (`v1/core/kv_cache_utils.py`).
 */
import { assert } from "../util/assert.ts";
import type { Sequence } from "./sequence.ts";

export class BlockManager {
  readonly blockSize: number;
  /** Blocks of the pool. */
  readonly count: number;
  readonly #refs: Int32Array;
  readonly #free: number[];
  /** Blocks by what they hold, see `#keyOf`. */
  readonly #cached = new Map<string, number>();
  readonly #keys: (string | null)[];
  readonly #names: Int32Array;
  /** Cached blocks that nobody holds, longest unused first. */
  readonly #unused = new Set<number>();
  #lastName = 0;

  constructor(count: number, blockSize: number) {
    this.count = count;
    this.blockSize = blockSize;
    this.#refs = new Int32Array(count);
    this.#names = new Int32Array(count);
    this.#keys = new Array<string | null>(count).fill(null);
    this.#free = Array.from({ length: count }, (_, i) => count - 1 - i); // the lowest first: memory is committed when touched
  }

  /** Blocks that can be had now. */
  get available(): number {
    return this.#free.length + this.#unused.size;
  }

  /** Blocks that sequences hold. */
  get held(): number {
    return this.count - this.available;
  }

  /** Blocks for `rows` rows. */
  blocksFor(rows: number): number {
    return Math.ceil(rows / this.blockSize);
  }

  /**
   * Gives an empty sequence blocks for all of its rows, the longest cached prefix among them. The last row is always left to compute,
   * since its logits are wanted. False, and nothing taken, when that would leave fewer than `spare` blocks.
   */
  admit(sequence: Sequence, spare: number): boolean {
    assert(sequence.blocks.length === 0, "a sequence is admitted twice");
    this.#adoptPrefix(sequence);
    const needed = this.blocksFor(sequence.length) - sequence.blocks.length;
    if (this.available < needed + spare) {
      this.release(sequence);
      return false;
    }
    for (let i = 0; i < needed; i++) sequence.blocks.push(this.#take());
    return true;
  }

  /** One more block for the sequence; false when there is none. */
  grow(sequence: Sequence): boolean {
    if (this.available === 0) return false;
    sequence.blocks.push(this.#take());
    return true;
  }

  /** Names the blocks that have become full; one that is there already takes the place of the sequence's own. */
  commit(sequence: Sequence): void {
    const full = Math.floor(sequence.computed / this.blockSize);
    while (sequence.chain.length < full) {
      const index = sequence.chain.length;
      const own = sequence.blocks[index];
      const key = this.#keyOf(sequence, index);
      const known = this.#cached.get(key);
      if (known === undefined) {
        this.#cached.set(key, own);
        this.#keys[own] = key;
        this.#names[own] = ++this.#lastName;
        sequence.chain.push(this.#lastName);
      } else {
        this.#hold(known);
        this.#drop(own);
        sequence.blocks[index] = known;
        sequence.chain.push(this.#names[known]);
      }
    }
  }

  /** Takes everything from the sequence; full blocks stay in the cache. */
  release(sequence: Sequence): void {
    for (let i = sequence.blocks.length - 1; i >= 0; i--) this.#drop(sequence.blocks[i]);
    sequence.blocks = [];
    sequence.chain = [];
    sequence.computed = 0;
  }

  #adoptPrefix(sequence: Sequence): void {
    const most = Math.floor((sequence.length - 1) / this.blockSize);
    for (let index = 0; index < most; index++) {
      const known = this.#cached.get(this.#keyOf(sequence, index));
      if (known === undefined) break;
      this.#hold(known);
      sequence.blocks.push(known);
      sequence.chain.push(this.#names[known]);
    }
    sequence.computed = sequence.blocks.length * this.blockSize;
  }

  #keyOf(sequence: Sequence, index: number): string {
    const before = index === 0 ? 0 : sequence.chain[index - 1];
    const start = index * this.blockSize;
    return `${before}/${sequence.contentOf(start, start + this.blockSize)}`;
  }

  #take(): number {
    let block = this.#free.pop();
    if (block === undefined) {
      [block] = this.#unused;
      assert(block !== undefined, "no block is left");
      this.#unused.delete(block);
      this.#cached.delete(this.#keys[block] as string);
      this.#keys[block] = null;
    }
    this.#refs[block] = 1;
    return block;
  }

  #hold(block: number): void {
    if (this.#refs[block]++ === 0) this.#unused.delete(block);
  }

  #drop(block: number): void {
    assert(this.#refs[block] > 0, `block ${block} is given back twice`);
    if (--this.#refs[block] > 0) return;
    if (this.#keys[block] === null) this.#free.push(block);
    else this.#unused.add(block);
  }
}
