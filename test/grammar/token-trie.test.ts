import { describe, expect, it } from "vitest";
import { TokenTrie } from "../../src/grammar/token-trie.ts";
import type { Vocabulary } from "../../src/tokenizer/text-codec.ts";
import { Random } from "../../src/util/random.ts";

const BYTES = Array.from({ length: 256 }, (_, byte) => [byte]);

function vocabularyOf(tokens: readonly (readonly number[])[]): Vocabulary {
  let at = 0;
  return {
    bytes: Uint8Array.from(tokens.flat()),
    offsets: Uint32Array.from([0, ...tokens.map((token) => (at += token.length))]),
  };
}

/** What the fields of a tree say, node by node. */
function nodesOf(trie: TokenTrie): { path: string; ids: number[]; end: number }[] {
  const path: number[] = [];
  return Array.from(trie.byte, (byte, node) => {
    path.length = Math.max(0, trie.depth[node] - 1);
    if (node > 0) path.push(byte);
    const ids = [...trie.order.subarray(trie.first[node], trie.first[node + 1])];
    return { path: path.join(" "), ids, end: trie.end[node] };
  });
}

/** The definition: every prefix of a token is a node, in order of its bytes. */
function define(tokens: readonly (readonly number[])[], excluded: ReadonlySet<number>) {
  const ids = new Map<string, { path: readonly number[]; ids: number[] }>([["", { path: [], ids: [] }]]);
  for (const [id, token] of tokens.entries()) {
    if (token.length === 0 || excluded.has(id)) continue;
    for (let length = 1; length <= token.length; length++) {
      const path = token.slice(0, length);
      const node = ids.get(path.join(" ")) ?? { path, ids: [] };
      ids.set(path.join(" "), node);
      if (length === token.length) node.ids.push(id);
    }
  }
  const nodes = [...ids.values()].sort((a, b) => {
    for (let i = 0; ; i++)
      if (a.path[i] !== b.path[i] || i >= a.path.length) return (a.path[i] ?? -1) - (b.path[i] ?? -1);
  });
  return nodes.map(({ path, ids }, node) => {
    const isBelow = (other: number): boolean => path.every((byte, i) => nodes[other].path[i] === byte);
    let end = node + 1;
    while (end < nodes.length && isBelow(end)) end++;
    return { path: path.join(" "), ids, end };
  });
}

describe("TokenTrie", () => {
  it("is the tree of its tokens' bytes in preorder", () => {
    const random = new Random(3);
    const below = (n: number): number => random.nextUint32() % n;
    for (let round = 0; round < 20; round++) {
      const letters = [2, 3, 40, 256][round % 4];
      const tokens = Array.from({ length: 300 }, () => Array.from({ length: below(7) }, () => below(letters)));
      const all = [...tokens, ...BYTES, ...tokens.slice(0, 20)]; // some twice
      const excluded = new Set([1, 5, 250]);
      const trie = new TokenTrie(vocabularyOf(all), excluded);
      expect(nodesOf(trie)).toEqual(define(all, excluded));
      expect(trie.longest).toBe(Math.max(...all.map((token, id) => (excluded.has(id) ? 0 : token.length))));
    }
  });

  it("takes tokens that begin each other, and long ones", () => {
    const nested = Array.from({ length: 400 }, (_, i) => new Array<number>(i + 1).fill(97));
    const all = [...nested, new Array<number>(60_000).fill(98), ...BYTES];
    const trie = new TokenTrie(vocabularyOf(all), new Set());
    expect(trie.byte.length).toBe(1 + 400 + 60_000 + 254);
    expect(trie.tokenLengths((at) => (at < 500 ? 97 : -1))).toEqual(nested.map(({ length }) => length));
  });

  it("wants a token for each byte", () => {
    expect(() => new TokenTrie(vocabularyOf(BYTES.slice(0, 255)), new Set())).toThrow("got none for byte 255");
  });
});
