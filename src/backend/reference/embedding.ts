/** out[t] = table[ids[t]], widened to f32. Source: torch.nn.functional.embedding. */
import type { Operand } from "../backend.ts";
import { f32, i32 } from "../host.ts";
import { widenInto } from "./widen.ts";

/** out[T, C] from ids[T] in 0 … V − 1 and table[V, C]. */
export function embedding(out: Operand, ids: Operand, table: Operand): void {
  const C = table.shape[1];
  const y = f32(out);
  for (const [t, id] of i32(ids).entries()) widenInto(y.subarray(t * C, (t + 1) * C), table, id * C);
}
