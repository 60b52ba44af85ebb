/**
 * What operations demand of their operands. Each function throws DTypeError or ShapeError as `[op] what was wrong, with the shapes`; none
 * computes anything.
 */
import type { AttentionOptions, PagedAttentionOptions } from "../backend/backend.ts";
import { type DType, isWeightDType } from "../core/dtype.ts";
import { formatShape, shapesEqual } from "../core/shape.ts";
import { DTypeError, ShapeError } from "../util/errors.ts";
import type { Tensor } from "./tensor.ts";

/** Rows of int8 codes [rows, H, D] with one scale per row and head [rows, H]. */
export interface Int8RowTensors {
  readonly codes: Tensor;
  readonly scales: Tensor;
}

export function expectDType(op: string, name: string, tensor: Tensor, dtype: DType): void {
  if (tensor.dtype !== dtype) throw new DTypeError(op, `${name} must be ${dtype}, got ${tensor.dtype}`);
}

export function expectF32(op: string, name: string, tensor: Tensor): void {
  expectDType(op, name, tensor, "f32");
}

/** f32, bf16 or f16. */
export function expectWeight(op: string, name: string, tensor: Tensor): void {
  if (!isWeightDType(tensor.dtype)) throw new DTypeError(op, `${name} must be f32, bf16 or f16, got ${tensor.dtype}`);
}

/** A weight of shape [length]. */
export function expectVector(op: string, name: string, tensor: Tensor, length: number): void {
  expectWeight(op, name, tensor);
  if (!shapesEqual(tensor.shape, [length])) {
    throw new ShapeError(op, `${name} has shape ${formatShape(tensor.shape)}, expected ${formatShape([length])}`);
  }
}

/** Two f32 operands of one shape. */
export function expectSameShape(op: string, a: Tensor, b: Tensor): void {
  expectF32(op, "first operand", a);
  expectF32(op, "second operand", b);
  if (!shapesEqual(a.shape, b.shape)) {
    throw new ShapeError(op, `shapes differ: ${formatShape(a.shape)} and ${formatShape(b.shape)}`);
  }
}

export function expectInt8Rows(op: string, { codes, scales }: Int8RowTensors): void {
  expectDType(op, "codes", codes, "i8");
  expectF32(op, "scales", scales);
  if (codes.shape.length === 3 && shapesEqual(scales.shape, codes.shape.slice(0, 2))) return;
  throw new ShapeError(
    op,
    `expected codes [rows, H, D] and scales [rows, H], got ${formatShape(codes.shape)}, ${formatShape(scales.shape)}`,
  );
}

/** Rows of the source's shape, all inside the target, none twice. */
export function expectScatter(target: Tensor, rows: Int32Array, source: Tensor): void {
  const [count, ...rest] = target.shape;
  if (!shapesEqual(source.shape, [rows.length, ...rest])) {
    throw new ShapeError(
      "scatter_rows",
      `cannot put ${formatShape(source.shape)} to ${rows.length} rows of ${formatShape(target.shape)}`,
    );
  }
  for (const row of rows) {
    if (!(row >= 0 && row < count)) {
      throw new ShapeError("scatter_rows", `expected rows in 0..${count - 1}, got ${row}`);
    }
  }
  if (new Set(rows).size !== rows.length) throw new ShapeError("scatter_rows", "expected every row once");
}

/** Queries, block memory and the sequences in it fit together. */
export function expectPaged(q: Tensor, k: Tensor, v: Tensor, options: PagedAttentionOptions): void {
  const [T, H, D] = q.shape;
  const [rows, Hkv] = k.shape;
  if (
    q.shape.length !== 3 ||
    !shapesEqual(k.shape, v.shape) ||
    !shapesEqual(k.shape, [rows, Hkv, D]) ||
    H % Hkv !== 0
  ) {
    throw new ShapeError(
      "paged_attention",
      `expected q [T, H, D] and k, v [rows, Hkv, D] with H a multiple of Hkv, got ${[q, k, v].map((t) => formatShape(t.shape)).join(", ")}`,
    );
  }
  expectSequences(options, T, rows);
}

function expectSequences(options: PagedAttentionOptions, T: number, rows: number): void {
  const { blockSize, cuSeqlensQ: offsets, kvLengths, blockTables } = options;
  const fail = (problem: string): never => {
    throw new ShapeError("paged_attention", problem);
  };
  const n = kvLengths.length;
  const width = n > 0 ? blockTables.length / n : 0;
  if (!(blockSize > 0 && blockSize % 8 === 0)) fail(`expected a block size that is a multiple of 8, got ${blockSize}`);
  if (offsets.length !== n + 1 || offsets[0] !== 0 || offsets[n] !== T || !Number.isInteger(width)) {
    fail(
      `offsets [${offsets.join(", ")}], ${n} lengths and a table of ${blockTables.length} do not cover ${T} queries`,
    );
  }
  const blocks = Math.floor(rows / blockSize);
  for (let i = 0; i < n; i++) {
    const [queries, keys] = [offsets[i + 1] - offsets[i], kvLengths[i]];
    if (!(queries >= 0 && keys >= queries && keys <= width * blockSize)) {
      fail(`sequence ${i} has ${queries} queries and ${keys} keys in ${width} blocks of ${blockSize}`);
    }
    for (let b = 0; b * blockSize < keys; b++) {
      const block = blockTables[i * width + b];
      if (!(block >= 0 && block < blocks)) fail(`expected blocks in 0..${blocks - 1}, got ${block} in sequence ${i}`);
    }
  }
}

/** Offsets cover all queries and keys; causal segments have no more queries than keys. */
export function expectSegments(options: AttentionOptions, T: number, S: number): void {
  const q = options.cuSeqlensQ ?? Int32Array.of(0, T);
  const k = options.cuSeqlensK ?? Int32Array.of(0, S);
  const isCovering = (offsets: Int32Array, total: number): boolean =>
    offsets.length >= 2 &&
    offsets[0] === 0 &&
    offsets[offsets.length - 1] === total &&
    offsets.every((o, i) => i === 0 || o >= offsets[i - 1]);
  let isFitting = q.length === k.length && isCovering(q, T) && isCovering(k, S);
  for (let i = 1; isFitting && options.causal && i < q.length; i++) isFitting = q[i] - q[i - 1] <= k[i] - k[i - 1];
  if (!isFitting) {
    throw new ShapeError(
      "attention",
      `segment offsets [${q.join(", ")}] and [${k.join(", ")}] do not cover ${T} queries and ${S} keys (causal: ${options.causal})`,
    );
  }
}
