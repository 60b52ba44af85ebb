/**
 * The automata that answers are held to: states over bytes, grouped in rules that call each other, as a grammar's do. A rule begins at a
 * state and is left at a final one; what was called returns to the caller's state. Rules may be nested without bound, so a position in a
 * text is a stack of states (matcher.ts). Knows neither JSON nor tokens.
 */

/** Continue with the rule that begins at `start`; when it is left, with `ret`. */
export interface Call {
  readonly start: State;
  readonly ret: State;
}

export interface State {
  /** The state after this byte; null when it may not come. */
  next(byte: number): State | null;
  /** False when no byte at all may come here. */
  readonly hasBytes: boolean;
  readonly calls: readonly Call[];
  /** The rule may be left here. */
  readonly isFinal: boolean;
  /** So many tokens certainly suffice from here to the end of the rule; Infinity when its end cannot be reached. */
  readonly cost: number;
  /** States with equal keys allow the same tokens within their rule. */
  readonly maskKey: unknown;
  /** No token raises the cost by more; null: unknown. */
  readonly riseBound: number | null;
  /** A state that allows the same tokens and remembers less of what was read: itself, where there is none. */
  readonly anonymous: State;
  /** What becomes of this state when the rule that was called from here is left at `final`: itself, unless it must know. */
  resume(final: State): State;
}

interface Edge {
  readonly low: number;
  readonly high: number;
  readonly to: State;
}

/** A state that is written down edge by edge. Edges of one state must not overlap. */
export class TableState implements State {
  cost = Number.POSITIVE_INFINITY;
  isFinal: boolean;
  readonly riseBound = null;
  edges: Edge[] = [];
  calls: Call[] = [];

  constructor(isFinal = false) {
    this.isFinal = isFinal;
  }

  get hasBytes(): boolean {
    return this.edges.length > 0;
  }

  get maskKey(): unknown {
    return this;
  }

  get anonymous(): State {
    return this;
  }

  next(byte: number): State | null {
    for (const { low, high, to } of this.edges) if (byte >= low && byte <= high) return to;
    return null;
  }

  resume(_final: State): State {
    return this;
  }

  /** The bytes low … high lead to `to`. */
  edge(low: number, high: number, to: State): void {
    this.edges.push({ low, high, to });
  }

  call(start: State, ret: State): void {
    this.calls.push({ start, ret });
  }

  /** The only byte that may come, where there is but one and nothing else may happen; −1 otherwise. */
  get onlyByte(): number {
    const [edge] = this.edges;
    const isOnly = this.edges.length === 1 && edge.low === edge.high && this.calls.length === 0 && !this.isFinal;
    return isOnly ? edge.low : -1;
  }
}

/** The end of a rule. */
export const END: TableState = Object.freeze(Object.assign(new TableState(true), { cost: 0 }));

/** All states of a set of rules that refer to each other, with a limit on their number. */
export class StatePool {
  readonly states: TableState[] = [];
  readonly #limit: number;
  readonly #refuse: () => never;

  constructor(limit: number, refuse: () => never) {
    this.#limit = limit;
    this.#refuse = refuse;
  }

  add(isFinal = false): TableState {
    if (this.states.length >= this.#limit) this.#refuse();
    const state = new TableState(isFinal);
    this.states.push(state);
    return state;
  }

  /** A state from which exactly these bytes lead to `to`. */
  literal(bytes: Uint8Array, to: State): State {
    let next = to;
    for (let i = bytes.length - 1; i >= 0; i--) {
      const state = this.add();
      state.edge(bytes[i], bytes[i], next);
      next = state;
    }
    return next;
  }
}
