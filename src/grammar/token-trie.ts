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
    const texts: string[] = [];
    const ids: number[] = [];
    for (let id = 0; id < this.ids; id++) {
      if (offsets[id + 1] === offsets[id] || excluded.has(id)) continue;
      ids.push(id);
      texts.push(latin1(bytes.subarray(offsets[id], offsets[id + 1])));
    }
    const order = [...texts.keys()].sort((a, b) =>
      texts[a] < texts[b] ? -1 : texts[a] > texts[b] ? 1 : ids[a] - ids[b],
    );
    this.order = Int32Array.from(order, (i) => ids[i]);
    const room = texts.reduce((sum, text) => sum + text.length, 1);
    const byte = new Uint8Array(room);
    const depth = new Uint16Array(room);
    const end = new Int32Array(room);
    const first = new Int32Array(room + 1);
    const path: number[] = [0];
    let nodes = 1;
    let previous = "";
    for (const [place, i] of order.entries()) {
      const text = texts[i];
      let common = 0;
      while (common < previous.length && common < text.length && previous[common] === text[common]) common++;
      for (let d = path.length - 1; d > common; d--) end[path[d]] = nodes;
      path.length = common + 1;
      for (let d = common; d < text.length; d++) {
        byte[nodes] = text.charCodeAt(d);
        depth[nodes] = d + 1;
        first[nodes] = place;
        path.push(nodes++);
      }
      previous = text;
    }
    for (const node of path) end[node] = nodes;
    first[nodes] = order.length;
    this.byte = byte.slice(0, nodes);
    this.depth = depth.slice(0, nodes);
    this.end = end.slice(0, nodes);
    this.first = first.slice(0, nodes + 1);
    this.longest = texts.reduce((longest, text) => Math.max(longest, text.length), 0);
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

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
