/** Sums over whole tensors. */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";

/** target += source. */
export function accumulate(target: Operand, source: Operand): void {
  const sums = f32(target);
  const values = f32(source);
  for (let i = 0; i < sums.length; i++) sums[i] += values[i];
}

/** out[1] = Σ x², in f64. */
export function sumOfSquares(out: Operand, x: Operand): void {
  let sum = 0;
  for (const value of f32(x)) sum += value * value;
  f32(out)[0] = sum;
}
