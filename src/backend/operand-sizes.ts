/** An operand as a matrix over its last axis. */
import { elementCount } from "../core/shape.ts";
import type { Operand } from "./backend.ts";

export function rowsOf({ shape }: Operand): number {
  return elementCount(shape.slice(0, -1));
}

export function widthOf({ shape }: Operand): number {
  return shape.at(-1) ?? 0;
}
