/**
 * Which tokens may come at a position. What a token does within the innermost rule does not depend on what surrounds it, so that part is
 * found once per state, by a walk over all tokens, and kept; only tokens that leave the rule are looked at anew with their surroundings.
 */
import { Matcher, type Position, type Stack } from "./matcher.ts";
import type { State } from "./state.ts";
import type { TokenTrie } from "./token-trie.ts";

/** Tokens that may come, as bits, and the highest cost that one of them leads to. */
export interface TokenMask {
  readonly bits: Uint32Array;
  readonly maxCost: number;
}

/** What tokens do within one rule, from one of its states. */
interface InnerMask {
  /** Tokens that stay within it, or may. */
  readonly bits: Uint32Array;
  /** Nodes of the trie at which the rule may be left. */
  readonly exits: readonly number[];
  /** No token raises the cost by more. */
  readonly maxRise: number;
}

/** Kept for all requests; one is 19 KB at 151 000 tokens. */
const INNER_MASKS = 1024;

export class InnerMasks {
  readonly trie: TokenTrie;
  readonly #kept = new Map<unknown, InnerMask>();

  constructor(trie: TokenTrie) {
    this.trie = trie;
  }

  of(state: State): InnerMask {
    const key = state.maskKey;
    const known = this.#kept.get(key);
    if (known) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const mask = this.#walk(state);
    this.#kept.set(key, mask);
    if (this.#kept.size > INNER_MASKS) this.#kept.delete(this.#kept.keys().next().value);
    return mask;
  }

  #walk(state: State): InnerMask {
    const { trie } = this;
    const matcher = new Matcher();
    const bits = new Uint32Array((trie.ids + 31) >>> 5);
    const exits: number[] = [];
    let maxCost = 0;
    const start = matcher.start(state);
    if (start.canEnd) exits.push(0);
    walkTrie(trie, matcher, 0, start, (node, position) => {
      if (position.canEnd) exits.push(node);
      if (position.stacks.length === 0 || !setTokens(trie, node, bits)) return;
      let cost = Number.POSITIVE_INFINITY;
      for (const stack of position.stacks) if (stack.cost < cost) cost = stack.cost;
      if (cost > maxCost) maxCost = cost;
    });
    return { bits, exits, maxRise: state.riseBound ?? maxCost - state.cost };
  }
}

/** Masks that one request keeps. */
const KEPT_MASKS = 64;

/** The masks of one text's positions. */
export class TokenMasks {
  readonly matcher = new Matcher();
  readonly #inner: InnerMasks;
  readonly #kept = new Map<Position, TokenMask>();

  constructor(inner: InnerMasks) {
    this.#inner = inner;
  }

  /** All tokens that may come; not whether the text may end. */
  of(position: Position): TokenMask {
    const known = this.#kept.get(position);
    if (known) return known;
    const bits = new Uint32Array((this.#inner.trie.ids + 31) >>> 5);
    let maxCost = 0;
    for (const stack of position.stacks) {
      maxCost = Math.max(maxCost, this.#addStack(this.matcher.anonymous(stack), bits));
    }
    const mask = { bits, maxCost };
    this.#kept.set(position, mask);
    if (this.#kept.size > KEPT_MASKS) this.#kept.delete(this.#kept.keys().next().value as Position);
    return mask;
  }

  /** Only the tokens after which `limit` tokens suffice to the end. */
  within(position: Position, limit: number): Uint32Array {
    const { trie } = this.#inner;
    const bits = new Uint32Array((trie.ids + 31) >>> 5);
    walkTrie(trie, this.matcher, 0, this.matcher.anonymized(position), (node, after) => {
      if (after.cost <= limit) setTokens(trie, node, bits);
    });
    return bits;
  }

  /** Adds the tokens of one stack; returns the highest cost that one leads to. */
  #addStack(stack: Stack, bits: Uint32Array): number {
    const { trie } = this.#inner;
    const inner = this.#inner.of(stack.state);
    for (let word = 0; word < bits.length; word++) bits[word] |= inner.bits[word];
    let maxCost = stack.cost + inner.maxRise;
    const after = inner.exits.length > 0 ? this.matcher.leave(stack) : null;
    for (const node of inner.exits) {
      if (after === null) {
        setTokens(trie, node, bits); // the end of everything
        continue;
      }
      if (node === 0) {
        const mask = this.of(after);
        for (let word = 0; word < bits.length; word++) bits[word] |= mask.bits[word];
        maxCost = Math.max(maxCost, mask.maxCost);
        continue;
      }
      if (setTokens(trie, node, bits)) maxCost = Math.max(maxCost, after.cost);
      walkTrie(trie, this.matcher, node, after, (below, position) => {
        if (setTokens(trie, below, bits)) maxCost = Math.max(maxCost, position.cost);
      });
    }
    return maxCost;
  }
}

/** Visits all nodes below `from` that bytes lead to from `start`. */
function walkTrie(
  trie: TokenTrie,
  matcher: Matcher,
  from: number,
  start: Position,
  visit: (node: number, position: Position) => void,
): void {
  const { byte, depth, end } = trie;
  const base = depth[from];
  const path: Position[] = [start];
  const stop = end[from];
  for (let node = from + 1; node < stop; ) {
    const level = depth[node] - base;
    const next = matcher.step(path[level - 1], byte[node]);
    if (next === null) {
      node = end[node];
      continue;
    }
    path[level] = next;
    visit(node, next);
    node++;
  }
}

/** Sets the bits of the tokens that end at a node; false when there are none. */
function setTokens({ first, order }: TokenTrie, node: number, bits: Uint32Array): boolean {
  for (let i = first[node]; i < first[node + 1]; i++) bits[order[i] >>> 5] |= 1 << (order[i] & 31);
  return first[node] < first[node + 1];
}
