/** Copies `parts` behind each other into `target`, which they fill. Returns it. */
export function joinInto<A extends { set(part: ArrayLike<number>, at: number): void }>(
  target: A,
  parts: readonly ArrayLike<number>[],
): A {
  let at = 0;
  for (const part of parts) {
    target.set(part, at);
    at += part.length;
  }
  return target;
}
