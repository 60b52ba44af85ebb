/** Shapes: readonly lists of sizes, outermost axis first, always contiguous row-major. */

export type Shape = readonly number[];

/** Number of elements: the product of the sizes (1 for a scalar). */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** `[3, 4]`, for messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function shapesEqual(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}
