/**
 * The merge rules of a BPE: (left id, right id) → rank and merged id, in one open-addressing hash table over typed arrays.
 * A `Map` with composed keys would box every lookup; this is the inner loop of encoding.
 */
import { assert } from "../util/assert.ts";

export class MergeTable {
  readonly #mask: number;
  /** Slots of [left, right, rank, merged]; rank −1 marks a free one. */
  readonly #slots: Int32Array;
  #count = 0;

  /** @param capacity Most rules that will be added. */
  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Int32Array(size * 4);
    for (let slot = 2; slot < this.#slots.length; slot += 4) this.#slots[slot] = -1;
  }

  /** Adds a rule with the next rank. A pair that is there already gets the later rank, as in HF tokenizers. */
  add(left: number, right: number, merged: number): void {
    assert((this.#count + 1) * 2 <= this.#mask + 1, "merge table is full");
    const slots = this.#slots;
    const at = this.#slotOf(left, right);
    slots[at] = left;
    slots[at + 1] = right;
    slots[at + 2] = this.#count++;
    slots[at + 3] = merged;
  }

  /** Rank of the rule for the pair, −1 when there is none. Lower ranks are applied first. */
  rank(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right) + 2];
  }

  /** Merged id of a pair that has a rule. */
  merged(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right) + 3];
  }

  #slotOf(left: number, right: number): number {
    const slots = this.#slots;
    let index = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    index = ((index ^ (index >>> 15)) & this.#mask) >>> 0;
    for (;;) {
      const at = index * 4;
      if (slots[at + 2] < 0 || (slots[at] === left && slots[at + 1] === right)) return at;
      index = (index + 1) & this.#mask;
    }
  }
}
