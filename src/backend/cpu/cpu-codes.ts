/** Which codes the addon's last quantisation left in its memory, so that products that need the same ones do not make them again. */
import type { GeluKind, NormOperands, PackedWeight, Storage } from "../backend.ts";

/** What the addon's codes are of: rows as they are, or what was computed of them. */
export interface Codes {
  readonly storage: Storage;
  readonly group: number;
  readonly of: NormOperands | GeluKind | null;
}

/** Rows whose codes are in memory together: kMostRowsOfPart of native/kernels/fused.h. */
const MOST_FUSED_ROWS = 4096;

/** Whether a product with `weight` can take codes that a fused kernel made of T rows. */
export function canFuse(T: number, weight: PackedWeight): boolean {
  return weight.format === "int8" && T > 0 && T <= MOST_FUSED_ROWS && weight.shape[0] > 0;
}

export function isSameOrigin(a: Codes["of"], b: Codes["of"]): boolean {
  if (a === null || b === null || typeof a === "string" || typeof b === "string") return a === b;
  return a.weight.storage === b.weight.storage && a.bias.storage === b.bias.storage && a.eps === b.eps;
}
