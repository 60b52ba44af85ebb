/** Character automata as rules over bytes: as JSON strings, each character in one spelling, or bare. */
import type { CharAutomaton } from "./char-automaton.ts";
import { type Range, utf8Sequences } from "./char-set.ts";
import { END, type State, type StatePool, type TableState } from "./state.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Characters with an escape of one letter. */
const SHORT_ESCAPES = new Map([
  [0x08, "b"],
  [0x09, "t"],
  [0x0a, "n"],
  [0x0c, "f"],
  [0x0d, "r"],
  [QUOTE, '"'],
  [BACKSLASH, "\\"],
]);

/** Ways in bytes that lead to one state. */
interface Way {
  readonly bytes: readonly Range[];
  readonly to: State;
}

/** The start of a rule for the JSON strings whose text `automaton` takes. */
export function spelledString(automaton: CharAutomaton, pool: StatePool): TableState {
  const start = pool.add();
  start.edge(QUOTE, QUOTE, spell(automaton, pool, jsonWays, [{ bytes: [[QUOTE, QUOTE]], to: END }]));
  return start;
}

/** The start of a rule for exactly the texts that `automaton` takes. */
export function spelledBare(automaton: CharAutomaton, pool: StatePool): TableState {
  return spell(automaton, pool, (low, high, to) => utf8Sequences(low, high).map((bytes) => ({ bytes, to })), null);
}

/** @param ending What ends the text where it may end; null: nothing, the rule is simply left. */
function spell(
  automaton: CharAutomaton,
  pool: StatePool,
  waysOf: (low: number, high: number, to: State) => Way[],
  ending: Way[] | null,
): TableState {
  const { edges, isFinal } = automaton;
  const states = isFinal.map((final) => pool.add(final && ending === null));
  for (const [number, state] of states.entries()) {
    const ways = edges[number].flatMap(({ low, high, to }) => waysOf(low, high, states[to]));
    addWays(state, ending && isFinal[number] ? [...ways, ...ending] : ways, pool);
  }
  return states[0];
}

function jsonWays(low: number, high: number, to: State): Way[] {
  const ways: Way[] = [];
  let plain = low;
  const flush = (end: number): void => {
    if (plain <= end) ways.push(...utf8Sequences(plain, end).map((bytes) => ({ bytes, to })));
  };
  for (const special of [...Array(0x20).keys(), QUOTE, BACKSLASH]) {
    if (special < low || special > high) continue;
    flush(special - 1);
    plain = special + 1;
    const short = SHORT_ESCAPES.get(special);
    const spelled = `\\${short ?? `u${special.toString(16).padStart(4, "0")}`}`;
    ways.push({ bytes: [...spelled].map((char): Range => [char.charCodeAt(0), char.charCodeAt(0)]), to });
  }
  flush(high);
  return ways;
}

/** Edges of `state` for all ways; those that begin alike share their states. */
function addWays(state: TableState, ways: readonly Way[], pool: StatePool): void {
  const cuts = new Set<number>();
  for (const { bytes } of ways) {
    cuts.add(bytes[0][0]);
    cuts.add(bytes[0][1] + 1);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  const known = new Map<string, State>();
  for (let i = 0; i + 1 < sorted.length; i++) {
    const low = sorted[i];
    const through = ways.filter(({ bytes }) => bytes[0][0] <= low && low <= bytes[0][1]);
    if (through.length === 0) continue;
    const rests = through.map(({ bytes, to }) => ({ bytes: bytes.slice(1), to }));
    const ended = rests.find(({ bytes }) => bytes.length === 0);
    if (ended) {
      state.edge(low, sorted[i + 1] - 1, ended.to);
      continue;
    }
    const key = rests.map(({ bytes, to }) => `${bytes.join(";")}>${numberOf(to)}`).join("|");
    let next = known.get(key);
    if (next === undefined) {
      const middle = pool.add();
      addWays(middle, rests, pool);
      next = middle;
      known.set(key, next);
    }
    state.edge(low, sorted[i + 1] - 1, next);
  }
}

const numbers = new WeakMap<State, number>();
let lastNumber = 0;

function numberOf(state: State): number {
  let number = numbers.get(state);
  if (number === undefined) {
    number = ++lastNumber;
    numbers.set(state, number);
  }
  return number;
}
