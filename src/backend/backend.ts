/**
 * What a backend is: memory on one device plus the coarse operations of a vision-language model over it.
 * What it is not: it checks no shapes (tensor/ops.ts did), owns no lifetimes (tensor/scope.ts does), knows no
 * checkpoint, no model and no text. Every operation writes a preallocated `out` that never overlaps an input.
 * The definition of each operation is its plain loop in backend/reference/<op>.ts.
 *
 * Sizes follow docs/notation.md. All operands are contiguous row-major. Activations are f32; a weight is f32, bf16 or f16.
 */
import type { DType, HostArray } from "../core/dtype.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import type { Shape } from "../core/shape.ts";

/** Memory of one device. Opaque to everyone but its backend. */
export interface Storage {
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly length: number;
}

/** One argument of an operation: typed memory with a shape. `Tensor` is one. */
export interface Operand {
  readonly storage: Storage;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** How a backend's packed weights become bytes and come back. */
export interface PackedFiles {
  /** Name and version of the layout of the bytes. */
  readonly layout: string;
  /** The bytes of a packed weight, sharing its memory. */
  bytes(weight: PackedWeight): Uint8Array;
  /**
   * Takes such bytes without a copy; they may lie in a mapped file.
   * @param label For messages: where they come from.
   * @throws WeightsError when they are no packed weight of this layout, or not all of one.
   */
  adopt(bytes: Uint8Array, label: string): PackedWeight;
}

/**
 * A quantised matrix [M, C] in the form that one backend's kernels read. Opaque to everyone but that backend; its memory lives as long
 * as it is referenced.
 */
export interface PackedWeight {
  readonly format: QuantizedWeight["format"];
  readonly shape: readonly [M: number, C: number];
  /** Memory held. */
  readonly byteLength: number;
}

/**
 * What activations are rounded to in front of an int4 weight: integer codes with one scale per row and group. int16 costs twice the
 * arithmetic of int8 and int24 three times; int24 is as good as f32.
 */
export type Int4Activations = "int8" | "int16" | "int24";

export type GeluKind = "tanh" | "erf";

/** Tiles as bytes, with what each byte stands for. */
export interface PixelBytes {
  /** [n, S, S, 3] */
  readonly bytes: Uint8Array;
  /** [3, 256]: value of every byte of each channel. */
  readonly table: Float32Array;
}

/** A layer norm over the last axis: weight[C], bias[C]. */
export interface NormOperands {
  readonly weight: Operand;
  readonly bias: Operand;
  readonly eps: number;
}

export interface AttentionOptions {
  /** Multiplies q·k before the softmax; usually D^-0.5. */
  readonly scale: number;
  /** Query i of a segment sees keys 0 … Tk − Tq + i of the same segment (its own position is the last one). */
  readonly causal: boolean;
  /** Row offsets of independent segments in q: 0 = first, last = T. Null: one segment. */
  readonly cuSeqlensQ: Int32Array | null;
  /** Row offsets of the same segments in k and v. Null: one segment. */
  readonly cuSeqlensK: Int32Array | null;
  /**
   * Whether q, k, v and the weights may be rounded to bf16 before they are multiplied, where that is faster: for layers whose other products
   * are of rounded numbers too. Default: false.
   */
  readonly mayRound?: boolean;
}

export interface PagedAttentionOptions {
  /** Multiplies q·k before the softmax; usually D^-0.5. */
  readonly scale: number;
  /** Rows of a block, a multiple of 8. */
  readonly blockSize: number;
  /** Row offsets of the n sequences in q: 0 = first, last = ΣT. */
  readonly cuSeqlensQ: Int32Array;
  /** Keys of each sequence, the newest queries' own included; no fewer than its queries. */
  readonly kvLengths: Int32Array;
  /** [n, width]: the blocks of each sequence in the order of its keys. What lies behind a sequence's last block is not looked at. */
  readonly blockTables: Int32Array;
  /** As in `AttentionOptions`. Keys and values of int8 are not rounded again. Default: false. */
  readonly mayRound?: boolean;
}

/** Rows as int8 codes [rows, H, D] (i8) with one scale per row and head [rows, H] (f32): a number is code · scale. */
export interface Int8Rows {
  readonly codes: Operand;
  readonly scales: Operand;
}

export interface Backend {
  /** Name as given to `device`: "reference", "cpu" or "cuda". */
  readonly name: string;
  /** Human-readable, for `--stats`: instruction set, threads. */
  readonly description: string;
  readonly threads: number;
  /** Work is dear to start and cheap to do, as on a GPU: many pictures are encoded together, whatever memory that takes. Default: false. */
  readonly isWide?: boolean;
  /** What activations are rounded to in front of an int4 weight. Not there: they are not rounded. */
  readonly int4Activations?: Int4Activations;

  // — memory —
  /** Uninitialised memory; may be recycled. */
  alloc(dtype: DType, length: number): Storage;
  /** Memory of zeros, otherwise as `alloc`. */
  zeros(dtype: DType, length: number): Storage;
  /** Gives memory from `alloc` or `zeros` back. Views of it must not be used afterwards. */
  free(storage: Storage): void;
  /** Takes host data as device memory; a host backend keeps the array itself, without a copy (memory-mapped weights). */
  wrap(dtype: DType, data: HostArray): Storage;
  /** Elements [start, start + length) of `storage`, sharing its memory. */
  view(storage: Storage, start: number, length: number): Storage;
  /** Copies device memory to `into`, an array of the same type and length, or to a new one. */
  read(storage: Storage, into?: HostArray): Promise<HostArray>;

  // — operations —
  /** out[T, M] = x[T, C] · weight[M, C]ᵀ (+ bias[M]). */
  linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void;
  /**
   * Packs a quantised weight for `linearPacked` and `embeddingPacked`. Groups of int4 weights must be multiples of 32.
   * @throws UnsupportedError for other groups.
   */
  pack(weight: QuantizedWeight): PackedWeight;
  /** Keeping packed weights in files. Absent where that has no use. */
  readonly packedFiles?: PackedFiles;
  /** The first `rows` rows of a packed weight, sharing its memory. */
  packedRows(weight: PackedWeight, rows: number): PackedWeight;
  /**
   * out[T, M] = x[T, C] · weight[M, C]ᵀ (+ bias[M]) with x rounded to integer codes, one scale per row (int8 weights) or per row and
   * group (int4 weights), exact integer sums, and the scales applied to those. The definition is reference/linear-packed.ts.
   */
  linearPacked(out: Operand, x: Operand, weight: PackedWeight, bias: Operand | null): void;
  /** `linearPacked` of layerNorm(x). A backend need not store the norm, nor compute it again for the next weight. */
  layerNormLinearPacked(out: Operand, x: Operand, norm: NormOperands, weight: PackedWeight, bias: Operand | null): void;
  /** `linearPacked` of gelu(x). A backend need not store it. */
  geluLinearPacked(out: Operand, x: Operand, kind: GeluKind, weight: PackedWeight, bias: Operand | null): void;
  /** out[T, M] = linearPacked(silu(linearPacked(x, gate)) · linearPacked(x, up), down). A backend need not store what lies between. */
  gatedMlpPacked(out: Operand, x: Operand, gate: PackedWeight, up: PackedWeight, down: PackedWeight): void;
  /** out[T, C]: row ids[t] of the packed table [V, C], as f32. Ids are checked by the caller. */
  embeddingPacked(out: Operand, ids: Operand, table: PackedWeight): void;
  /** out[T, C]: (x − mean) / sqrt(var + eps) · weight[C] + bias[C], population variance. */
  layerNorm(out: Operand, x: Operand, weight: Operand, bias: Operand, eps: number): void;
  /** out[T, C]: x / sqrt(mean(x²) + eps) · weight[C]. */
  rmsNorm(out: Operand, x: Operand, weight: Operand, eps: number): void;
  /** out[T, H, D] from q[T, H, D], k[S, Hkv, D], v[S, Hkv, D]; head h reads key head ⌊h·Hkv/H⌋. */
  attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void;
  /**
   * out[ΣT, H, D] from q[ΣT, H, D] of several sequences whose keys and values lie in blocks of k, v [rows, Hkv, D]; causal. Key s of a
   * sequence is row s mod blockSize of block ⌊s / blockSize⌋ of its table. The bits of a sequence depend neither on the others nor on
   * where its blocks lie.
   */
  pagedAttention(out: Operand, q: Operand, k: Operand, v: Operand, options: PagedAttentionOptions): void;
  /** target[rows[t], …] = source[t, …] (f32); the other rows stay. Rows are checked by the caller: inside, none twice. */
  scatterRows(target: Operand, rows: Operand, source: Operand): void;
  /** `pagedAttention` over keys and values that were rounded by `scatterRowsInt8`. */
  pagedAttentionInt8(out: Operand, q: Operand, k: Int8Rows, v: Int8Rows, options: PagedAttentionOptions): void;
  /**
   * `scatterRows` of source[T, H, D] rounded to int8: scale = amax / 127 of a row's head, code = number / scale to the nearest, ties to even,
   * f32 steps. A scale of 0 has codes 0; a number that is not finite makes its head's scale NaN and codes 0.
   */
  scatterRowsInt8(target: Int8Rows, rows: Operand, source: Operand): void;
  /** out[T, H, D]: "rotate halves" RoPE: pair (i, i + D/2), angle = positions[T] · theta^(−2i/D). */
  rope(out: Operand, x: Operand, positions: Operand, theta: number): void;
  /** Same shape as x. */
  gelu(out: Operand, x: Operand, kind: GeluKind): void;
  /** out = silu(gate) · up, same shapes. */
  swiglu(out: Operand, gate: Operand, up: Operand): void;
  /** out = a + b, same shapes. */
  add(out: Operand, a: Operand, b: Operand): void;
  /** out[T, C]: row ids[t] of table[V, C], as f32. Ids are checked by the caller. */
  embedding(out: Operand, ids: Operand, table: Operand): void;
  /**
   * out[B·P, C]: convolution with kernel = stride = patch over pixels[B, 3, S, S] with weight[C, 3, patch, patch] and
   * bias[C]; patches row-major, P = ⌊S/patch⌋²; plus position[P, C].
   */
  patchEmbed(out: Operand, pixels: Operand, weight: Operand, bias: Operand, position: Operand): void;
  /** out[n, 3, S, S] from tiles on the host. Only where that is faster than preprocess/pixels.ts, which defines it. */
  pixelValues?(out: Operand, pixels: PixelBytes): void;
  /** out[B, ⌈s/k⌉, ⌈s/k⌉, k·k·C] from x[B, s, s, C], channel order (dy, dx, c); zeros pad bottom and right. */
  spaceToChannel(out: Operand, x: Operand, k: number): void;
  /** out[h', w', C] from x[h, w, C]: mean over rows ⌊i·h/h'⌋ … ⌈(i+1)·h/h'⌉ − 1, columns alike (adaptive average). */
  areaResize(out: Operand, x: Operand): void;
  /** out[F/pt, h/ph, w/pw, C] from x[F, h, w, C]: mean over pt frames, then ph rows, then pw columns. */
  pool3d(out: Operand, x: Operand, window: readonly [pt: number, ph: number, pw: number]): void;
  /** out[gy·h, gx·w, C] from x[gy·gx, h, w, C]: tiles row-major put together to one map. */
  stitchTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void;
  /** out[gy·gx, h, w, C] from x[gy·h, gx·w, C]: the inverse of stitchTiles. */
  splitTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void;
  /** out[T, ΣCᵢ] from parts[i][T, Cᵢ]: columns side by side. */
  concatColumns(out: Operand, parts: readonly Operand[]): void;
  /** Copies all of `source` into `target` from element `targetStart` on. Same dtype. */
  copy(target: Storage, targetStart: number, source: Storage): void;
}
