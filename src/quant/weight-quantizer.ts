/**
 * Rounds rows of a stored matrix, whatever float type they are in, and tells how much that changed them. `plainQuantizer` is plain
 * TypeScript and the definition; a backend may bring a faster one that gives the same bits.
 */
import { dequantizeRow, type QuantizedWeight, quantizedRows } from "../core/quantized-weight.ts";
import { WeightsError } from "../util/errors.ts";
import { quantizeInt4Rows } from "./int4-quantizer.ts";
import { quantizeInt8Rows } from "./int8-weight-quantizer.ts";
import type { TensorPlan } from "./quantize-plan.ts";
import { f16Table } from "./rounding.ts";

/** Rows of a matrix as a checkpoint stores them. */
export interface StoredRows {
  readonly dtype: "f32" | "bf16" | "f16";
  readonly data: Float32Array | Uint16Array;
  readonly rows: number;
  /** C */
  readonly columns: number;
}

/** Sums over all elements; their quotient's root is the relative error. NaN where an element was not finite. */
export interface RoundingError {
  /** Σ (w − ŵ)² */
  readonly errorSquares: number;
  /** Σ w² */
  readonly squares: number;
}

export interface WeightQuantizer {
  /** Rounds `rows` into `out`, whose arrays have exactly their size. */
  quantize(rows: StoredRows, plan: TensorPlan, out: QuantizedWeight): RoundingError;
}

/** Elements that are decoded together: half of a level-2 cache. */
const BLOCK_ELEMENTS = 64 * 1024;

/** An empty weight of a shape, to be rounded into. */
export function emptyWeight(shape: readonly [M: number, C: number], plan: TensorPlan): QuantizedWeight {
  const [M, C] = shape;
  if (plan.format === "int8") {
    return { format: "int8", shape, codes: new Int8Array(M * C), scales: new Float32Array(M) };
  }
  const groups = C / plan.groupSize;
  return {
    format: "int4",
    shape,
    groupSize: plan.groupSize,
    codes: new Uint8Array((M * C) / 2),
    scales: new Float32Array(M * groups),
    zeros: new Uint8Array(M * groups),
  };
}

/**
 * Rounds a whole matrix.
 * @throws WeightsError when an element is not finite, or its scale does not fit a half.
 */
export function quantizeMatrix(
  name: string,
  rows: StoredRows,
  plan: TensorPlan,
  quantizer: WeightQuantizer,
): QuantizedWeight {
  const weight = emptyWeight([rows.rows, rows.columns], plan);
  expectFinite(name, quantizer.quantize(rows, plan, weight));
  return weight;
}

/** @throws WeightsError when elements, or the scales made of them, were not finite. */
export function expectFinite(name: string, { errorSquares, squares }: RoundingError): void {
  if (Number.isFinite(errorSquares) && Number.isFinite(squares)) return;
  throw new WeightsError(
    "quantize",
    `"${name}" holds values that are not finite, or too large for the scales of its format`,
  );
}

export const plainQuantizer: WeightQuantizer = {
  quantize({ dtype, data, rows, columns }, plan, out) {
    const blockRows = Math.max(1, Math.floor(BLOCK_ELEMENTS / columns));
    const values = new Float32Array(blockRows * columns);
    const back = new Float32Array(columns);
    let errorSquares = 0;
    let squares = 0;
    for (let row = 0; row < rows; row += blockRows) {
      const count = Math.min(blockRows, rows - row);
      decode(data, dtype, row * columns, values, count * columns);
      const block = quantizedRows(out, row, row + count);
      if (block.format === "int8") quantizeInt8Rows(values, count, columns, block);
      else if (plan.format === "int4") quantizeInt4Rows(values, count, columns, plan, block);
      for (let r = 0; r < count; r++) {
        dequantizeRow(block, r, back);
        for (let c = 0; c < columns; c++) {
          const value = values[r * columns + c];
          squares += value * value;
          errorSquares += (value - back[c]) * (value - back[c]);
        }
      }
    }
    return { errorSquares, squares };
  },
};

/** values[0 … count) = data[start … start + count) as f32. */
function decode(
  data: Float32Array | Uint16Array,
  dtype: StoredRows["dtype"],
  start: number,
  values: Float32Array,
  count: number,
): void {
  if (dtype === "f32") {
    values.set(data.subarray(start, start + count));
  } else if (dtype === "bf16") {
    const bits = new Uint32Array(values.buffer, values.byteOffset, count);
    for (let i = 0; i < count; i++) bits[i] = data[start + i] << 16;
  } else {
    const table = f16Table();
    for (let i = 0; i < count; i++) values[i] = table[data[start + i]];
  }
}
