/** out[t] = row ids[t] of a packed table, each weight code · scale or (code − zero) · scale, rounded to f32 once. */
import { dequantizeRow } from "../../core/quantized-weight.ts";
import type { Operand, PackedWeight } from "../backend.ts";
import { f32, i32 } from "../host.ts";
import { canonical } from "./packed-weight.ts";

/** out[T, C] from ids[T], table[V, C]. */
export function embeddingPacked(out: Operand, ids: Operand, table: PackedWeight): void {
  const [, C] = table.shape;
  for (const [t, id] of i32(ids).entries()) dequantizeRow(canonical(table), id, f32(out), t * C);
}
