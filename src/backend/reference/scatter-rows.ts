/** Rows written to the places that a list names, as they are or rounded to int8; all other rows stay. */
import type { Int8Rows, Operand } from "../backend.ts";
import { f32, i8, i32 } from "../host.ts";
import { LEVELS, quantizeRows } from "./quantize-rows.ts";

/** target[rows[t], …] = source[t, …]. */
export function scatterRows(target: Operand, rows: Operand, source: Operand): void {
  const width = target.shape.slice(1).reduce((product, size) => product * size, 1);
  const [to, from] = [f32(target), f32(source)];
  for (const [t, row] of i32(rows).entries()) {
    for (let c = 0; c < width; c++) to[row * width + c] = from[t * width + c];
  }
}

/** The same of source[T, H, D], each row's head with a scale of its own. */
export function scatterRowsInt8(target: Int8Rows, rows: Operand, source: Operand): void {
  const [T, H, D] = source.shape;
  const { codes, scales } = quantizeRows(f32(source), [T * H, D], D, LEVELS.int8);
  const [toCodes, toScales] = [i8(target.codes), f32(target.scales)];
  for (const [t, row] of i32(rows).entries()) {
    for (let c = 0; c < H * D; c++) toCodes[row * H * D + c] = codes[t * H * D + c];
    for (let h = 0; h < H; h++) toScales[row * H + h] = scales[t * H + h];
  }
}
