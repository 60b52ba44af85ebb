/**
 * Products with packed weights: one row and eight against the memory that their weights come from, many rows against f32 multiply-adds (an
 * operation is an operation: above 100 % is what integers gain). And packing itself.
 */
import type { Backend, Operand } from "../src/backend/backend.ts";
import type { QuantizedWeight } from "../src/core/quantized-weight.ts";
import { quantizedBytes } from "../src/core/quantized-weight.ts";
import { randomF32, randomQuantized } from "./random-data.ts";
import type { BenchRow, RowGroup } from "./row.ts";

type Format = QuantizedWeight["format"];

interface Size {
  readonly format: Format;
  readonly C: number;
  readonly M: number;
}

/** Several times what caches hold. */
const COLD_BYTES = 256 * 2 ** 20;
const QWEN2_UP: Size = { format: "int4", C: 1536, M: 8960 };
const QWEN2_DOWN: Size = { format: "int4", C: 8960, M: 1536 };
const SIGLIP_FC1: Size = { format: "int8", C: 1152, M: 4304 };
const SIGLIP_FC2: Size = { format: "int8", C: 4304, M: 1152 };
const QWEN2_HEAD: Size = { format: "int8", C: 1536, M: 151_646 };

export const PACKED_ROWS: readonly RowGroup[] = [
  [1, 2, 4, 8, 16, 32].map((T) => coldRow(T, QWEN2_UP)),
  [1, 8].map((T) => coldRow(T, QWEN2_DOWN)),
  [1, 8].map((T) => coldRow(T, QWEN2_HEAD)),
  [1, 8].map((T) => coldRow(T, SIGLIP_FC1)),
  [64, 512].map((T) => manyRow(T, QWEN2_UP)),
  [manyRow(512, QWEN2_DOWN)],
  [SIGLIP_FC1, SIGLIP_FC2, { ...SIGLIP_FC1, M: 1152 }].map((size) => manyRow(1024, size)),
  [packRow(QWEN2_UP), packRow(SIGLIP_FC1)],
];

/** Weights from memory, as many matrices in turn as caches cannot hold. The rate is that of reading weights. */
function coldRow(T: number, size: Size): BenchRow {
  const bytes = packedBytes(size);
  const copies = Math.ceil(COLD_BYTES / bytes);
  return {
    name: `${nameOf(T, size)}, ${copies} in turn`,
    limit: "read",
    work: bytes * copies,
    ...(T === 1 && { target: 0.9 }),
    setup: (backend) => products(backend, T, size, copies),
  };
}

/** Weights from caches; the rate is that of arithmetic. */
function manyRow(T: number, size: Size): BenchRow {
  const { C, M } = size;
  return {
    name: nameOf(T, size),
    limit: "fma",
    work: 2 * T * C * M,
    setup: (backend) => products(backend, T, size, 1),
  };
}

/** From canonical codes to panels: bytes read and written. */
function packRow(size: Size): BenchRow {
  return {
    name: `pack ${size.M}×${size.C} ${size.format}`,
    limit: "read",
    work: quantizedBytes(randomQuantized(size.format, [16, size.C])) * (size.M / 16) + packedBytes(size),
    setup(backend) {
      const weight = randomQuantized(size.format, [size.M, size.C]);
      return () => {
        backend.pack(weight);
      };
    },
  };
}

function products(backend: Backend, T: number, { format, C, M }: Size, copies: number): () => void {
  const x: Operand = { storage: backend.wrap("f32", randomF32(T * C)), shape: [T, C], dtype: "f32" };
  const out: Operand = { storage: backend.alloc("f32", T * M), shape: [T, M], dtype: "f32" };
  const weight = randomQuantized(format, [M, C]);
  const packed = Array.from({ length: copies }, () => backend.pack(weight));
  return () => {
    for (const matrix of packed) backend.linearPacked(out, x, matrix, null);
  };
}

/** Codes and scales; what fills up the last panel does not count. */
function packedBytes({ format, C, M }: Size): number {
  return format === "int8" ? M * C + 4 * M : (M * C) / 2 + (2 * M * C) / 128;
}

function nameOf(T: number, { format, C, M }: Size): string {
  return `linear ${T}×${C}×${M} ${format}`;
}
