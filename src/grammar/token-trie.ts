/**
 * The tokens of a vocabulary as a tree of bytes, in preorder: the nodes below node i are i + 1 … end[i] − 1, so that a walk is a loop and a
 * subtree is skipped by one jump. Node 0 is the root. Knows no automata.
 */
import type { Vocabulary } from "../tokenizer/text-codec.ts";
import { UnsupportedError } from "../util/errors.ts";

export class TokenTrie {
  /** Ids below this; a mask has one bit for each. */
  readonly ids: number;
  /** Bytes of the longest token. */
  readonly longest: number;
  /** [nodes] byte that leads to the node. */
  readonly byte: Uint8Array;
  /** [nodes] bytes of its path. */
  readonly depth: Uint16Array;
  /** [nodes] first node behind its subtree. */
  readonly end: Int32Array;
  /** The tokens that end at node i are order[first[i]] … order[first[i + 1] − 1]. */
  readonly first: Int32Array;
  readonly order: Int32Array;

  /**
   * @param excluded Ids that stand for no text: stop ids.
   * @throws UnsupportedError when a byte has no token of its own: then some texts could be begun but not ended.
   */
  constructor({ bytes, offsets }: Vocabulary, excluded: ReadonlySet<number>) {
    this.ids = offsets.length - 1;
    const ids: number[] = [];
    let room = 1;
    let longest = 0;
    for (let id = 0; id < this.ids; id++) {
      const length = offsets[id + 1] - offsets[id];
      if (length === 0 || excluded.has(id)) continue;
      ids.push(id);
      room += length;
      longest = Math.max(longest, length);
    }
    const order = Int32Array.from(ids);
    const sorter = new ByteSorter(order, bytes, offsets);
    const byte = new Uint8Array(room);
    const depth = new Uint16Array(room);
    const end = new Int32Array(room);
    const first = new Int32Array(room + 1);
    let nodes = 1;
    /** Adds what lies below a node: its tokens are order[low] … order[high − 1], their first `shared` bytes its path. */
    const addBelow = (low: number, high: number, shared: number): void => {
      const chain = nodes; // as long as all go on with the same byte, nodes follow each other and end together
      for (let at = low; ; shared++) {
        sorter.sort(at, high, shared);
        while (at < high && sorter.keyOf(at, shared) === ENDS) at++; // they end at this node
        if (at === high) break;
        const isChain = sorter.keyOf(at, shared) === sorter.keyOf(high - 1, shared);
        if (!isChain) {
          addBranches(at, high, shared);
          break;
        }
        addNode(at, shared);
      }
      for (let node = chain; node < nodes && end[node] === 0; node++) end[node] = nodes;
    };
    const addBranches = (low: number, high: number, shared: number): void => {
      for (let at = low, to = low; at < high; at = to) {
        const key = sorter.keyOf(at, shared);
        while (to < high && sorter.keyOf(to, shared) === key) to++;
        const node = addNode(at, shared);
        addBelow(at, to, shared + 1);
        end[node] = nodes;
      }
    };
    const addNode = (place: number, shared: number): number => {
      byte[nodes] = sorter.keyOf(place, shared);
      depth[nodes] = shared + 1;
      first[nodes] = place;
      return nodes++;
    };
    addBelow(0, order.length, 0);
    end[0] = nodes;
    first[nodes] = order.length;
    this.order = order;
    this.byte = byte.slice(0, nodes);
    this.depth = depth.slice(0, nodes);
    this.end = end.slice(0, nodes);
    this.first = first.slice(0, nodes + 1);
    this.longest = longest;
    for (let value = 0; value < 256; value++) {
      if (this.tokenLengths((at) => (at === 0 ? value : -1)).length > 0) continue;
      throw new UnsupportedError(
        "constraint",
        `expected a vocabulary with a token for each byte, got none for byte ${value}`,
      );
    }
  }

  /** Lengths of the tokens that begin a text, shortest first. @param byteAt Its bytes; −1 at the end. */
  tokenLengths(byteAt: (at: number) => number): number[] {
    const lengths: number[] = [];
    let node = 0;
    for (let at = 0; ; at++) {
      const wanted = byteAt(at);
      if (wanted < 0) return lengths;
      let child = node + 1;
      while (child < this.end[node] && this.byte[child] !== wanted) child = this.end[child];
      if (child >= this.end[node]) return lengths;
      node = child;
      if (this.first[node] < this.first[node + 1]) lengths.push(at + 1);
    }
  }
}

/** The key of a token at the place behind its last byte. */
const ENDS = -1;
/** Fewer are sorted by insertion. */
const FEW = 24;

/** Sorts ids by one byte of their tokens. */
class ByteSorter {
  readonly #order: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #sorted: Int32Array;
  /** [258] */
  readonly #starts = new Int32Array(258);

  constructor(order: Int32Array, bytes: Uint8Array, offsets: Uint32Array) {
    this.#order = order;
    this.#bytes = bytes;
    this.#offsets = offsets;
    this.#sorted = new Int32Array(order.length);
  }

  /** Byte `at` of the token at `place` of the order, `ENDS` behind its last one. */
  keyOf(place: number, at: number): number {
    const id = this.#order[place];
    const position = this.#offsets[id] + at;
    return position < this.#offsets[id + 1] ? this.#bytes[position] : ENDS;
  }

  /** order[low] … order[high − 1] by byte `at`; equal ones stay as they were. */
  sort(low: number, high: number, at: number): void {
    if (high - low < FEW) this.#insert(low, high, at);
    else this.#count(low, high, at);
  }

  #insert(low: number, high: number, at: number): void {
    for (let i = low + 1; i < high; i++) {
      const id = this.#order[i];
      const key = this.keyOf(i, at);
      let to = i;
      for (; to > low && this.keyOf(to - 1, at) > key; to--) this.#order[to] = this.#order[to - 1];
      this.#order[to] = id;
    }
  }

  #count(low: number, high: number, at: number): void {
    const starts = this.#starts.fill(0); // of key k at k + 1
    for (let i = low; i < high; i++) starts[this.keyOf(i, at) + 2]++;
    for (let k = 1; k < starts.length; k++) starts[k] += starts[k - 1];
    for (let i = low; i < high; i++) this.#sorted[starts[this.keyOf(i, at) + 1]++] = this.#order[i];
    this.#order.set(this.#sorted.subarray(0, high - low), low);
  }
}
