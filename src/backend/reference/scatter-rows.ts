/** Rows written to the places that a list names; all other rows stay. */
import type { Operand } from "../backend.ts";
import { f32, i32 } from "../host.ts";

/** target[rows[t], …] = source[t, …]. */
export function scatterRows(target: Operand, rows: Operand, source: Operand): void {
  const width = target.shape.slice(1).reduce((product, size) => product * size, 1);
  const [to, from] = [f32(target), f32(source)];
  for (const [t, row] of i32(rows).entries()) {
    for (let c = 0; c < width; c++) to[row * width + c] = from[t * width + c];
  }
}
