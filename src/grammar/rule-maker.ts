/** What the rules of arrays, objects, strings and numbers need of the maker of rules: its other rules, and a place to say what is impossible. */
import type { Keywords, Raw } from "./schema-source.ts";
import type { State, StatePool, TableState } from "./state.ts";
import type { FillCosts } from "./string-rule.ts";

/** Keywords that hold together: of what is written, and of what must hold besides. */
export interface Merged {
  readonly ours: readonly Keywords[];
  readonly others: readonly Keywords[];
}

export interface RuleMaker {
  readonly pool: StatePool;
  readonly fill: FillCosts;
  /** Rules of strings and numbers that were made already, by what they hold to. */
  readonly scalars: Map<string, State>;
  /** The rule of whitespace between parts. */
  readonly gap: State;
  /** The rule of values that all of `ours` allow and none of `others` forbids. Its states may come later. */
  node(ours: readonly Raw[], others: readonly Raw[]): TableState;
  /** Says why something can never be satisfied. */
  contradiction(place: string, reason: string): void;
}
