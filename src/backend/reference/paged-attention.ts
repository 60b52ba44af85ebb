/**
 * Attention over keys and values that lie in blocks: each sequence's rows are put in a row, then attention as it is defined for them.
 * Always causal; nothing of one sequence reaches another. Int8 rows are widened first. Source: Kwon et al. 2023 (arXiv 2309.06180), §4.1.
 */
import type { Int8Rows, Operand, PagedAttentionOptions } from "../backend.ts";
import { f32, type HostStorage, i8 } from "../host.ts";
import { attention } from "./attention.ts";

/** out[ΣT, H, D] from q[ΣT, H, D] and the pools k, v [rows, Hkv, D]. */
export function pagedAttention(out: Operand, q: Operand, k: Operand, v: Operand, options: PagedAttentionOptions): void {
  const { scale, cuSeqlensQ, kvLengths } = options;
  const [, Hkv, D] = k.shape;
  const S = kvLengths.reduce((sum, length) => sum + length, 0);
  const cuSeqlensK = new Int32Array(kvLengths.length + 1);
  for (const [i, length] of kvLengths.entries()) cuSeqlensK[i + 1] = cuSeqlensK[i] + length;
  const rows = keyRows(options); // [S]
  const [keys, values] = [k, v].map((pool) => gather(f32(pool), rows, Hkv * D, [S, Hkv, D]));
  attention(out, q, keys, values, { scale, causal: true, cuSeqlensQ, cuSeqlensK });
}

/** The same from pools of int8 rows. */
export function pagedAttentionInt8(
  out: Operand,
  q: Operand,
  k: Int8Rows,
  v: Int8Rows,
  options: PagedAttentionOptions,
): void {
  pagedAttention(out, q, widen(k), widen(v), options);
}

function widen({ codes, scales }: Int8Rows): Operand {
  const D = codes.shape[2];
  const [from, by] = [i8(codes), f32(scales)];
  const array = Float32Array.from(from, (code, i) => code * by[Math.floor(i / D)]);
  const storage: HostStorage = { dtype: "f32", length: array.length, array, isOwned: false };
  return { storage, shape: codes.shape, dtype: "f32" };
}

/** The pool's row of every key of every sequence, one sequence after the other. */
function keyRows({ kvLengths, blockTables, blockSize }: PagedAttentionOptions): number[] {
  const width = blockTables.length / kvLengths.length;
  const rows: number[] = [];
  for (const [i, length] of kvLengths.entries()) {
    for (let s = 0; s < length; s++) {
      const block = blockTables[i * width + Math.floor(s / blockSize)];
      rows.push(block * blockSize + (s % blockSize));
    }
  }
  return rows;
}

function gather(pool: Float32Array, rows: readonly number[], width: number, shape: readonly number[]): Operand {
  const array = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) array.set(pool.subarray(row * width, (row + 1) * width), i * width);
  const storage: HostStorage = { dtype: "f32", length: array.length, array, isOwned: false };
  return { storage, shape, dtype: "f32" };
}
