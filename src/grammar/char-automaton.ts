/**
 * Deterministic automata over characters: what patterns, formats and lengths of strings become before they are spelled in bytes. State 0
 * is the start. All states lead to an end: what does not is cut off.
 */
import type { CharSet, Range } from "./char-set.ts";

export interface CharEdge {
  readonly low: number;
  readonly high: number;
  readonly to: number;
}

export interface CharAutomaton {
  /** Edges of each state, sorted, without overlap. */
  readonly edges: readonly (readonly CharEdge[])[];
  readonly isFinal: readonly boolean[];
}

/** Thrown inside this room when an automaton would become too large; callers say of what. */
export class TooLarge extends Error {}

const MAX_STATES = 20_000;
const MAX_EDGES = 200_000;

/** Builds the states that are reached from `start`; `describe` gives what is behind a state. */
export function explore<T>(
  start: T,
  keyOf: (state: T) => string,
  describe: (state: T) => { readonly isFinal: boolean; readonly edges: readonly { set: CharSet; to: T }[] },
): CharAutomaton {
  const numbers = new Map<string, number>([[keyOf(start), 0]]);
  const states = [start];
  const edges: CharEdge[][] = [];
  const isFinal: boolean[] = [];
  let edgeCount = 0;
  for (let number = 0; number < states.length; number++) {
    const { edges: found, isFinal: final } = describe(states[number]);
    isFinal.push(final);
    for (const { set } of found) edgeCount += set.length;
    if (edgeCount > MAX_EDGES) throw new TooLarge();
    edges.push(
      found
        .flatMap(({ set, to }) => {
          const key = keyOf(to);
          let target = numbers.get(key);
          if (target === undefined) {
            if (states.length >= MAX_STATES) throw new TooLarge();
            target = states.length;
            numbers.set(key, target);
            states.push(to);
          }
          return set.map(([low, high]) => ({ low, high, to: target }));
        })
        .sort((a, b) => a.low - b.low),
    );
  }
  return trim({ edges, isFinal });
}

/** Without the states from which no end is reached. */
function trim({ edges, isFinal }: CharAutomaton): CharAutomaton {
  const sources: number[][] = edges.map(() => []);
  for (const [from, list] of edges.entries()) for (const { to } of list) sources[to].push(from);
  const isAlive = [...isFinal];
  const open = [...isAlive.keys()].filter((state) => isAlive[state]);
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const from of sources[state]) {
      if (isAlive[from]) continue;
      isAlive[from] = true;
      open.push(from);
    }
  }
  return { edges: edges.map((list) => list.filter(({ to }) => isAlive[to])), isFinal };
}

type Pair = readonly [number, number];

/** The texts that both take. */
export function intersect(a: CharAutomaton, b: CharAutomaton): CharAutomaton {
  return explore(
    [0, 0] as Pair,
    (pair) => pair.join(),
    ([p, q]) => {
      const found: { set: CharSet; to: Pair }[] = [];
      const left = a.edges[p];
      const right = b.edges[q];
      for (let i = 0, j = 0; i < left.length && j < right.length; ) {
        const low = Math.max(left[i].low, right[j].low);
        const high = Math.min(left[i].high, right[j].high);
        if (low <= high) found.push({ set: [[low, high]], to: [left[i].to, right[j].to] });
        if (left[i].high < right[j].high) i++;
        else j++;
      }
      return { isFinal: a.isFinal[p] && b.isFinal[q], edges: found };
    },
  );
}

/** The texts of min to max characters. @param max Infinity: no limit. */
export function limitLength(a: CharAutomaton, min: number, max: number): CharAutomaton {
  const last = max === Number.POSITIVE_INFINITY ? min : max;
  return explore(
    [0, 0] as Pair,
    (pair) => pair.join(),
    ([p, count]) => ({
      isFinal: a.isFinal[p] && count >= min,
      edges:
        count >= max
          ? []
          : a.edges[p].map(({ low, high, to }) => ({
              set: [[low, high] as Range],
              to: [to, Math.min(count + 1, last)] as Pair,
            })),
    }),
  );
}

/** True when no text is taken. */
export function isEmpty({ edges, isFinal }: CharAutomaton): boolean {
  return !isFinal[0] && edges[0].length === 0;
}

/** Whether it takes a text; one step for each character. */
export function takes({ edges, isFinal }: CharAutomaton, text: string): boolean {
  let state = 0;
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const edge = edges[state].find(({ low, high }) => low <= code && code <= high);
    if (edge === undefined) return false;
    state = edge.to;
  }
  return isFinal[state];
}
