/** Checks of our own invariants. A user's mistake is never reported through here (see errors.ts). */

/** Throws `internal: …` when `condition` is false. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message}`);
}

/** Marks a branch that the type system proves unreachable. */
export function unreachable(value: never, message: string): never {
  throw new Error(`internal: ${message}: ${String(value)}`);
}
