/**
 * How many tokens suffice from each state to the end of its rule: a bound that is exact where one text must follow. A byte costs one token,
 * a run of bytes without choice as many as its best split. Then all that leads nowhere is cut off, so no position is a dead end.
 */
import type { State, TableState } from "./state.ts";
import type { TokenTrie } from "./token-trie.ts";

/** @param trie Null: every byte is a token. */
export function settleCosts(states: readonly TableState[], trie: TokenTrie | null): void {
  const targets = states.map((state) => targetsOf(state, trie));
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (let i = states.length - 1; i >= 0; i--) {
      const state = states[i];
      let cost = state.isFinal ? 0 : Number.POSITIVE_INFINITY;
      for (const target of targets[i]) cost = Math.min(cost, 1 + target.cost);
      for (const { start, ret } of state.calls) cost = Math.min(cost, start.cost + ret.cost);
      if (cost < state.cost) {
        state.cost = cost;
        isChanged = true;
      }
    }
  }
  for (const state of states) {
    state.edges = state.edges.filter(({ to }) => to.cost < Number.POSITIVE_INFINITY);
    state.calls = state.calls.filter(({ start, ret }) => start.cost + ret.cost < Number.POSITIVE_INFINITY);
  }
}

/** States that one token leads to. */
function targetsOf(state: TableState, trie: TokenTrie | null): readonly State[] {
  if (trie === null || state.onlyByte < 0) return state.edges.map(({ to }) => to);
  const run: State[] = [state];
  const lengths = trie.tokenLengths((at) => {
    const here = run[at] as Partial<TableState>;
    const byte = here.onlyByte ?? -1; // states of other kinds end the run
    if (byte >= 0) run[at + 1] = run[at].next(byte) as State;
    return byte;
  });
  return lengths.map((length) => run[length]);
}
