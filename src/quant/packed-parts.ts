/**
 * What readers of packed formats share: fetching the tensors that stand behind one linear layer, with messages that name them, and
 * turning scales, nibble words and zero points into canonical arrays. Knows no single format.
 */
import type { StoredTensors } from "../checkpoint/stored-tensors.ts";
import type { TensorInfo } from "../checkpoint/weights.ts";
import type { DType } from "../core/dtype.ts";
import { type Int4Weight, KERNEL_GROUP_SIZES, type QuantizedWeight } from "../core/quantized-weight.ts";
import { formatShape, type Shape } from "../core/shape.ts";
import { UnsupportedError, WeightsError } from "../util/errors.ts";
import { bf16ToF32 } from "../util/half.ts";
import { f16Table } from "./rounding.ts";

/** One linear layer whose weight is stored in parts. Shapes and dtypes were checked; data is read on demand. */
export interface PackedLinear {
  /** [M, C] */
  readonly shape: readonly [M: number, C: number];
  readonly bits: 4 | 8;
  /** Full names of the tensors that stand for the weight. */
  readonly parts: readonly string[];
  /** True when groups and integer zero points cannot express the matrix; then `dense` gives it. Absent: false. */
  isDense?(): boolean;
  /** The canonical form. @throws WeightsError when the data is damaged. */
  quantized(): QuantizedWeight;
  /** The matrix as halves, where `isDense`. */
  dense?(): Uint16Array;
}

/** The name of the format, for messages, and how to find its linears in a source. */
export interface PackedFormat {
  readonly name: string;
  /** The ending that tells which layers are packed. */
  readonly marker: string;
  /** Endings that occur in this format only. */
  readonly suffixes: readonly string[];
  /** @throws WeightsError when parts are missing or of another shape; UnsupportedError for variants that are not read. */
  linear(parts: PartReader): PackedLinear;
}

/** The parts of one linear layer in a source. */
export class PartReader {
  readonly source: StoredTensors;
  /** Full name of the layer, without a dot behind it. */
  readonly layer: string;
  readonly #format: string;

  constructor(source: StoredTensors, layer: string, format: string) {
    this.source = source;
    this.layer = layer;
    this.#format = format;
  }

  name(part: string): string {
    return `${this.layer}.${part}`;
  }

  info(part: string): TensorInfo | null {
    return this.source.info(this.name(part));
  }

  /** Shape of a part that must be there. @throws WeightsError when it is missing or of another dtype. */
  shape(part: string, dtypes: readonly DType[], rank: number): Shape {
    const info = this.info(part);
    if (!info) throw this.error(`${part} is missing`);
    if (!dtypes.includes(info.dtype))
      throw this.error(`${part} has dtype ${info.dtype}, expected ${dtypes.join(" or ")}`);
    if (info.shape.length !== rank) {
      throw this.error(`${part} has shape ${formatShape(info.shape)}, expected ${rank} axes`);
    }
    return info.shape;
  }

  /** @throws WeightsError when the part does not have exactly this shape. */
  expectShape(part: string, dtypes: readonly DType[], shape: Shape): void {
    const got = this.shape(part, dtypes, shape.length);
    if (got.some((size, axis) => size !== shape[axis])) {
      throw this.error(`${part} has shape ${formatShape(got)}, expected ${formatShape(shape)}`);
    }
  }

  /** Little-endian bytes of a part. */
  bytes(part: string): Uint8Array {
    const data = this.source.data(this.name(part));
    return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }

  words(part: string): Int32Array {
    return this.source.data(this.name(part)) as Int32Array;
  }

  /** Values of a float part as f32. @throws WeightsError when one is not finite. */
  floats(part: string): Float32Array {
    const name = this.name(part);
    const data = this.source.data(name);
    const values = toF32(data as Float32Array | Uint16Array, this.source.info(name)?.dtype ?? "f32");
    if (!values.every(Number.isFinite)) throw this.error(`${part} holds values that are not finite`);
    return values;
  }

  error(what: string): WeightsError {
    return new WeightsError("quantized", `"${this.layer}" in ${this.source.label} (${this.#format}): ${what}`);
  }

  unsupported(what: string): UnsupportedError {
    return new UnsupportedError("quantized", `"${this.layer}" in ${this.source.label} (${this.#format}): ${what}`);
  }
}

export const FLOATS: readonly DType[] = ["f16", "bf16", "f32"];

/** Number of groups. @throws WeightsError when groups do not divide the row. */
export function groupsOf(parts: PartReader, C: number, groupSize: number): number {
  if (groupSize <= 0 || C % groupSize !== 0) {
    throw parts.error(`groups of ${groupSize} do not divide ${C} inputs`);
  }
  if (groupSize % 2 !== 0) throw parts.unsupported(`groups of ${groupSize} are not read, only even ones`);
  return C / groupSize;
}

/** Side of the blocks in which matrices are transposed, so that both sides stay in the cache. */
const BLOCK = 32;

/** A copy of words[rows, columns] with the axes swapped. One function per type: an array of any type would be four times as slow. */
export function transposedWords(words: Int32Array, rows: number, columns: number): Int32Array {
  const out = new Int32Array(words.length);
  for (let row0 = 0; row0 < rows; row0 += BLOCK) {
    const rowEnd = Math.min(rows, row0 + BLOCK);
    for (let column0 = 0; column0 < columns; column0 += BLOCK) {
      const columnEnd = Math.min(columns, column0 + BLOCK);
      for (let column = column0; column < columnEnd; column++) {
        for (let row = row0; row < rowEnd; row++) out[column * rows + row] = words[row * columns + column];
      }
    }
  }
  return out;
}

/** The same for f32, whose bits are moved. */
export function transposedFloats(values: Float32Array, rows: number, columns: number): Float32Array {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  return new Float32Array(transposedWords(words, rows, columns).buffer);
}

/** The same for bytes. */
export function transposedBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = bytes[row * columns + column];
  }
  return out;
}

/**
 * Nibbles of words that run along the second axis: out[row, column] of `rows` × `columns` from words[row, ⌈…⌉], column 8w + j in nibble
 * order[j]. Words behind the last column are padding.
 */
export function unpackNibbles(
  words: Int32Array,
  rows: number,
  columns: number,
  wordsPerRow: number,
  order: readonly number[] = SEQUENTIAL,
): Uint8Array {
  const out = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[row * columns + column] = (words[row * wordsPerRow + (column >> 3)] >>> (4 * order[column & 7])) & 15;
    }
  }
  return out;
}

export const SEQUENTIAL: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

/**
 * The same matrix in groups that kernels take, where one of them divides the stored groups: scales and zero points repeat.
 * Exact. Other groups stay as they are.
 */
export function toKernelGroups(weight: Int4Weight): Int4Weight {
  const { groupSize, scales, zeros } = weight;
  if (KERNEL_GROUP_SIZES.includes(groupSize)) return weight;
  const smaller = KERNEL_GROUP_SIZES.find((size) => groupSize % size === 0);
  if (smaller === undefined) return weight;
  const repeat = groupSize / smaller;
  return {
    ...weight,
    groupSize: smaller,
    scales: Float32Array.from({ length: scales.length * repeat }, (_, i) => scales[Math.floor(i / repeat)]),
    zeros: Uint8Array.from({ length: zeros.length * repeat }, (_, i) => zeros[Math.floor(i / repeat)]),
  };
}

/** Values of a stored float array as f32. */
export function toF32(data: Float32Array | Uint16Array, dtype: DType): Float32Array {
  if (data instanceof Float32Array) return data.slice();
  const out = new Float32Array(data.length);
  if (dtype === "f16") {
    const table = f16Table();
    for (let i = 0; i < data.length; i++) out[i] = table[data[i]];
  } else {
    for (let i = 0; i < data.length; i++) out[i] = bf16ToF32(data[i]);
  }
  return out;
}
