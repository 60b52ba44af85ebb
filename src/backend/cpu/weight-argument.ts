/** A weight operand as the two arguments that the addon takes: its array and its dtype code. */
import { isWeightDType } from "../../core/dtype.ts";
import { assert } from "../../util/assert.ts";
import type { Operand } from "../backend.ts";
import { hostArray } from "../host.ts";
import { DTYPE_CODE, type DTypeCode, type WeightArray } from "./native-types.ts";

export function weightArray(operand: Operand): WeightArray {
  return hostArray(operand) as WeightArray;
}

export function weightCode(operand: Operand): DTypeCode {
  assert(isWeightDType(operand.dtype), `weight operand expected, got ${operand.dtype}`);
  return DTYPE_CODE[operand.dtype];
}
