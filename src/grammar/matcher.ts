/**
 * Where a text stands in the rules. A position is a set of stacks, since a beginning may belong to several continuations (branches of a
 * union). Stacks and positions are interned, so that a step that was made before is a look-up. Knows no tokens.
 */
import type { State } from "./state.ts";

/** States from the innermost rule outwards: `state` is at work, `parent` is where its rule returns to; null when it is the outermost. */
export class Stack {
  readonly id: number;
  readonly state: State;
  readonly parent: Stack | null;
  /** Tokens that suffice to the end of everything. */
  readonly cost: number;
  readonly children = new Map<State, Stack>();

  constructor(id: number, state: State, parent: Stack | null) {
    this.id = id;
    this.state = state;
    this.parent = parent;
    this.cost = state.cost + (parent?.cost ?? 0);
  }
}

/** A set of stacks that a byte may continue, and whether the text may end. */
export class Position {
  readonly stacks: readonly Stack[];
  readonly canEnd: boolean;
  readonly cost: number;
  /** By byte; undefined where nobody has looked yet, null where the byte may not come. */
  readonly steps: (Position | null | undefined)[] = [];

  constructor(stacks: readonly Stack[], canEnd: boolean) {
    this.stacks = stacks;
    this.canEnd = canEnd;
    let cost = canEnd ? 0 : Number.POSITIVE_INFINITY;
    for (const stack of stacks) cost = Math.min(cost, stack.cost);
    this.cost = cost;
  }
}

export class Matcher {
  readonly #outermost = new Map<State, Stack>();
  readonly #positions = new Map<string, Position>();
  #stacks = 0;

  /** Before the first byte of a rule. */
  start(state: State): Position {
    return this.#collect([this.#push(state, null)]) ?? new Position([], false);
  }

  /** A stack whose two innermost states remember only what the next tokens depend on. */
  anonymous({ state, parent }: Stack): Stack {
    return this.#push(state.anonymous, parent && this.#push(parent.state.anonymous, parent.parent));
  }

  /** A position of such stacks. */
  anonymized({ stacks, canEnd }: Position): Position {
    return new Position(
      stacks.map((stack) => this.anonymous(stack)),
      canEnd,
    );
  }

  /** After the innermost rule of `stack` was left; null when it was the outermost, or nothing may follow. */
  leave({ state, parent }: Stack): Position | null {
    return parent === null ? null : this.#collect([this.#push(parent.state.resume(state), parent.parent)]);
  }

  /** After one more byte; null when it may not come. */
  step(position: Position, byte: number): Position | null {
    const known = position.steps[byte];
    if (known !== undefined) return known;
    const reached: Stack[] = [];
    for (const { state, parent } of position.stacks) {
      const next = state.next(byte);
      if (next) reached.push(this.#push(next, parent));
    }
    const next = reached.length === 0 ? null : this.#collect(reached);
    position.steps[byte] = next;
    return next;
  }

  #push(state: State, parent: Stack | null): Stack {
    const siblings = parent?.children ?? this.#outermost;
    const known = siblings.get(state);
    if (known) return known;
    const stack = new Stack(this.#stacks++, state, parent);
    siblings.set(state, stack);
    return stack;
  }

  /** Everything that is reached from `stacks` without a byte: rules called and rules left. Null when nothing may follow. */
  #collect(stacks: readonly Stack[]): Position | null {
    const seen = new Set<Stack>();
    const open = [...stacks];
    const active: Stack[] = [];
    let canEnd = false;
    for (let stack = open.pop(); stack !== undefined; stack = open.pop()) {
      if (seen.has(stack)) continue;
      seen.add(stack);
      const { state, parent } = stack;
      if (state.hasBytes) active.push(stack);
      for (const { start, ret } of state.calls) {
        // A rule that ends with the call needs no place to return to.
        const isLast = ret.isFinal && !ret.hasBytes && ret.calls.length === 0;
        open.push(this.#push(start, isLast ? parent : this.#push(ret, parent)));
      }
      if (!state.isFinal) continue;
      if (parent === null) canEnd = true;
      else open.push(this.#push(parent.state.resume(state), parent.parent));
    }
    if (active.length === 0 && !canEnd) return null;
    active.sort((a, b) => a.id - b.id);
    const key = `${canEnd ? "." : ""}${active.map(({ id }) => id).join(",")}`;
    const known = this.#positions.get(key);
    if (known) return known;
    const position = new Position(active, canEnd);
    this.#positions.set(key, position);
    return position;
  }
}
