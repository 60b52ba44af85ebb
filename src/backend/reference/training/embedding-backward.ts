/** The gradient of a gather: rows are added back, in order, so that repeated ids sum up. Source: torch.nn.functional.embedding. */
import type { Operand } from "../../backend.ts";
import { f32, i32 } from "../../host.ts";

/** Adds dy[T, C] to rows ids[T] of dTable[V, C]. */
export function embeddingBackward(dTable: Operand, ids: Operand, dy: Operand): void {
  const C = dTable.shape[1];
  const table = f32(dTable);
  const upstream = f32(dy);
  for (const [t, id] of i32(ids).entries()) {
    for (let c = 0; c < C; c++) table[id * C + c] += upstream[t * C + c];
  }
}
