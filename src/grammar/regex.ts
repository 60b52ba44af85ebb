/**
 * Regular expressions of JSON schemas (ECMA-262 with the flag u) as automata: literals, classes, escapes, groups, alternatives, quantifiers,
 * `^` and `$`. As in JSON Schema a pattern may match anywhere in the text. Look-around, back references and word boundaries are refused.
 */

import { type CharAutomaton, explore, TooLarge } from "./char-automaton.ts";
import { ANY, type CharSet, charSet, LAST, type Range } from "./char-set.ts";
import { BEGIN, PatternError, type PatternNode, PatternParser, STOP } from "./pattern-parser.ts";

const MAX_NFA_STATES = 20_000;
/** States looked at while an automaton is made: bounds its time. */
const MAX_WORK = 2_000_000;

const cache = new Map<string, CharAutomaton>();

/** @throws PatternError when the pattern is malformed, uses what is not supported, or is too large. */
export function patternAutomaton(pattern: string): CharAutomaton {
  const known = cache.get(pattern);
  if (known) return known;
  try {
    new RegExp(pattern, "u");
  } catch (error) {
    throw new PatternError(error instanceof Error ? error.message : String(error));
  }
  const automaton = compile(new PatternParser(pattern).parse());
  if (cache.size > 100) cache.clear();
  cache.set(pattern, automaton);
  return automaton;
}

/** A non-deterministic automaton by Thompson's construction; state numbers, empty moves and moves by sets. */
class Nfa {
  readonly empty: number[][] = [];
  readonly moves: { set: readonly Range[]; to: number }[][] = [];

  state(): number {
    if (this.empty.length >= MAX_NFA_STATES) throw new TooLarge();
    this.empty.push([]);
    this.moves.push([]);
    return this.empty.length - 1;
  }

  /** Adds `node` behind `from`; returns where it ends. */
  add(node: PatternNode, from: number): number {
    switch (node.kind) {
      case "set": {
        const to = this.state();
        this.moves[from].push({ set: node.set, to });
        return to;
      }
      case "sequence":
        return node.items.reduce((at, item) => this.add(item, at), from);
      case "choice": {
        const to = this.state();
        for (const item of node.items) this.empty[this.add(item, from)].push(to);
        return to;
      }
      case "repeat": {
        let at = from;
        for (let i = 0; i < node.min; i++) at = this.add(node.item, at);
        if (node.max === Number.POSITIVE_INFINITY) {
          const loop = this.state();
          this.empty[at].push(loop);
          this.empty[this.add(node.item, loop)].push(loop);
          return loop;
        }
        const to = this.state();
        this.empty[at].push(to);
        for (let i = node.min; i < node.max; i++) {
          at = this.add(node.item, at);
          this.empty[at].push(to);
        }
        return to;
      }
      default:
        return node satisfies never;
    }
  }
}

/** Subsets of the states of an automaton, moved by classes of characters. */
class Subsets {
  readonly #nfa: Nfa;
  /** Where a pattern has been found and anything may follow. */
  readonly #found: number;
  readonly #onlyFound: number[];
  #work = 0;

  constructor(nfa: Nfa, found: number) {
    this.#nfa = nfa;
    this.#found = found;
    this.#onlyFound = this.closure([found]);
  }

  closure(states: Iterable<number>): number[] {
    const seen = new Set<number>(states);
    for (const state of seen) for (const to of this.#nfa.empty[state]) seen.add(to);
    this.#spend(seen.size);
    return [...seen].sort((a, b) => a - b);
  }

  /** After a character of a class, which is in all of `sets` and no other. */
  after(states: readonly number[], sets: ReadonlySet<readonly Range[]>): number[] {
    this.#spend(states.length);
    const reached = states.flatMap((state) =>
      this.#nfa.moves[state].flatMap(({ set, to }) => (sets.has(set) ? [to] : [])),
    );
    const closed = this.closure(reached);
    // Once the pattern was found, whatever follows is taken, and nothing else needs to be known.
    return closed.includes(this.#found) ? this.#onlyFound : closed;
  }

  #spend(states: number): void {
    this.#work += states;
    if (this.#work > MAX_WORK) throw new TooLarge();
  }
}

function compile(pattern: PatternNode): CharAutomaton {
  try {
    const nfa = new Nfa();
    const anything: PatternNode = {
      kind: "repeat",
      item: { kind: "set", set: [...ANY, [BEGIN, STOP]] },
      min: 0,
      max: Number.POSITIVE_INFINITY,
    };
    const start = nfa.state();
    const end = nfa.add({ kind: "sequence", items: [anything, pattern, anything] }, start);
    const sets = new Set(nfa.moves.flatMap((moves) => moves.map(({ set }) => set)));
    const containing = (char: number): Set<readonly Range[]> =>
      new Set([...sets].filter((set) => set.some(([low, high]) => low <= char && char <= high)));
    const [begin, stop] = [containing(BEGIN), containing(STOP)];
    const classes = classesOf(sets);
    const subsets = new Subsets(nfa, end);
    return explore(
      subsets.after(subsets.closure([start]), begin),
      (states) => states.join(),
      (states) => ({
        isFinal: subsets.after(states, stop).includes(end),
        edges: classes.flatMap(({ set, sets }) => {
          const to = subsets.after(states, sets);
          return to.length === 0 ? [] : [{ set, to }];
        }),
      }),
    );
  } catch (error) {
    if (error instanceof TooLarge) throw new PatternError("the pattern is too large");
    throw error;
  }
}

/** Characters that are in the same sets, as classes. */
function classesOf(
  all: ReadonlySet<readonly Range[]>,
): { readonly set: CharSet; readonly sets: ReadonlySet<readonly Range[]> }[] {
  const sets = [...all];
  const marks: { readonly at: number; readonly set: number; readonly isBegin: boolean }[] = [];
  for (const [number, set] of sets.entries()) {
    for (const [low, high] of set) {
      if (low > LAST) continue;
      marks.push(
        { at: low, set: number, isBegin: true },
        { at: Math.min(high, LAST) + 1, set: number, isBegin: false },
      );
    }
  }
  marks.sort((a, b) => a.at - b.at);
  const classes = new Map<string, { ranges: Range[]; numbers: number[] }>();
  const open = new Map<number, number>(); // set → ranges of it that are open
  for (let i = 0; i < marks.length; ) {
    const { at } = marks[i];
    for (; i < marks.length && marks[i].at === at; i++) {
      const count = (open.get(marks[i].set) ?? 0) + (marks[i].isBegin ? 1 : -1);
      if (count > 0) open.set(marks[i].set, count);
      else open.delete(marks[i].set);
    }
    if (open.size === 0 || i === marks.length) continue;
    const numbers = [...open.keys()].sort((a, b) => a - b);
    const key = numbers.join();
    const found = classes.get(key) ?? { ranges: [], numbers };
    found.ranges.push([at, marks[i].at - 1]);
    classes.set(key, found);
  }
  return [...classes.values()].map(({ ranges, numbers }) => ({
    set: charSet(ranges),
    sets: new Set(numbers.map((number) => sets[number])),
  }));
}
