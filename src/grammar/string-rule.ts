/**
 * Strings with at least `min` and at most `max` characters (Unicode code points), in any spelling that JSON allows. Characters are counted,
 * so states are made as they are met.
 */
import { BYTES_TO_CONTENT, CONTENT, DONE, nextInString, POSITIONS } from "./json-text.ts";
import { type Call, END, type State, TableState } from "./state.ts";
import type { TokenTrie } from "./token-trie.ts";

const QUOTE = 0x22;
const NO_CALLS: readonly Call[] = [];
const LONGEST_TAIL = Math.max(...BYTES_TO_CONTENT.filter(Number.isFinite));
/** States that a rule keeps. */
const KEPT_STATES = 20_000;

/** How many tokens certainly make n characters: spaces, in the runs that the vocabulary has. */
export class FillCosts {
  readonly #runs: readonly number[];
  readonly #costs: number[] = [0];
  /** A token is no longer than this. */
  readonly longestToken: number;

  /** @param trie Null: each character is a token. */
  constructor(trie: TokenTrie | null) {
    this.longestToken = trie?.longest ?? 1;
    this.#runs = trie?.tokenLengths((at) => (at < trie.longest ? 0x20 : -1)) ?? [1];
  }

  of(characters: number): number {
    for (let n = this.#costs.length; n <= characters; n++) {
      this.#costs.push(1 + Math.min(...this.#runs.filter((run) => run <= n).map((run) => this.#costs[n - run])));
    }
    return this.#costs[characters];
  }
}

/** The start of the rule. @param max Infinity: no limit. */
export function stringRule(min: number, max: number, fill: FillCosts): TableState {
  const rule = new CountedStrings(min, max, fill);
  const start = new TableState();
  start.edge(QUOTE, QUOTE, rule.state(CONTENT, 0));
  start.cost = 2 + fill.of(min);
  return start;
}

class CountedStrings {
  readonly min: number;
  readonly max: number;
  readonly fill: FillCosts;
  readonly #states = new Map<number, StringState>();

  constructor(min: number, max: number, fill: FillCosts) {
    this.min = min;
    this.max = max;
    this.fill = fill;
  }

  state(position: number, count: number): StringState {
    // Without a highest number nobody asks how many more than `min` there are.
    const counted = this.max === Number.POSITIVE_INFINITY ? Math.min(count, this.min) : count;
    const key = counted * POSITIONS + position;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size >= KEPT_STATES) this.#states.clear();
      state = new StringState(this, position, counted);
      this.#states.set(key, state);
    }
    return state;
  }
}

class StringState implements State {
  readonly hasBytes = true;
  readonly calls = NO_CALLS;
  readonly isFinal = false;
  readonly riseBound = LONGEST_TAIL;
  readonly cost: number;
  readonly maskKey: string;
  readonly #rule: CountedStrings;
  readonly #position: number;
  readonly #count: number;

  constructor(rule: CountedStrings, position: number, count: number) {
    this.#rule = rule;
    this.#position = position;
    this.#count = count;
    const { min, max, fill } = rule;
    const begun = position === CONTENT ? 0 : 1;
    this.cost = (begun ? BYTES_TO_CONTENT[position] : 0) + fill.of(Math.max(0, min - count - begun)) + 1;
    // A token cannot tell numbers apart that it cannot reach.
    const near = (distance: number): number => Math.min(Math.max(distance, 0), fill.longestToken + 1);
    this.maskKey = `string ${position} ${near(min - count)} ${near(max - count)}`;
  }

  next(byte: number): State | null {
    const { min, max } = this.#rule;
    const to = nextInString(this.#position, byte);
    if (to < 0) return null;
    if (to === DONE) return this.#count >= min ? END : null;
    if (this.#position === CONTENT && this.#count >= max) return null;
    return this.#rule.state(to, to === CONTENT ? this.#count + 1 : this.#count);
  }

  get anonymous(): State {
    return this;
  }

  resume(): State {
    return this;
  }
}
