/** out = a + b, element by element, rounded once to f32. */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** Three operands of one shape. */
export function add(out: Operand, a: Operand, b: Operand): void {
  const y = f32(out);
  const left = f32(a);
  const right = f32(b);
  for (let i = 0; i < y.length; i++) y[i] = left[i] + right[i];
}
