/**
 * The one typed mirror of the native addon (native/addon*.cc). Arrays must have exactly the sizes that the comments say; the
 * addon checks them and throws an "internal:" Error. Sizes follow docs/notation.md.
 */

import type { DTypeCode, NativeContext, NativeFileMap, WeightArray } from "./native-types.ts";
import type { TrainingBinding } from "./training-binding.ts";

/** Slowest first. A build has those of its processor family, a processor runs some of these. */
export const INSTRUCTION_SETS = ["scalar", "avx2", "avx512", "amx"] as const;
/** amx with products of f32 matrices whose operands are rounded to bf16: for training, by name only. */
export const BF16_SET = "amx-bf16";
export type InstructionSet = (typeof INSTRUCTION_SETS)[number];

export interface Binding extends TrainingBinding {
  /** @param isa One of INSTRUCTION_SETS, BF16_SET, or "" for the best one. @throws Error when this machine cannot run it. */
  createContext(threads: number, isa: string): NativeContext;
  describe(context: NativeContext): { isa: string; threads: number };

  /** out[n] = a[n] + b[n]. */
  add(context: NativeContext, out: Float32Array, a: Float32Array, b: Float32Array): void;
  /** out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M]. */
  linear(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    bias: WeightArray | null,
    biasDType: DTypeCode,
    T: number,
    C: number,
    M: number,
  ): void;

  /**
   * out[T, H, D] from q[T, H, D], k[S, Hkv, D], v[S, Hkv, D]. offsetsQ and offsetsK hold `segments` + 1 row offsets; null: one segment.
   * @param causal 1 or 0.
   */
  attention(
    context: NativeContext,
    out: Float32Array,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    offsetsQ: Int32Array | null,
    offsetsK: Int32Array | null,
    segments: number,
    T: number,
    S: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    causal: 0 | 1,
    mayRound: 0 | 1,
  ): void;

  /**
   * out[T, H, D] from q[T, H, D] of several sequences and the pools k, v [poolRows, Hkv, D]; causal. offsetsQ[sequences + 1],
   * lengths[sequences], tables[sequences, tableWidth] of blocks with `blockRows` rows, a multiple of 8.
   */
  pagedAttention(
    context: NativeContext,
    out: Float32Array,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    offsetsQ: Int32Array,
    lengths: Int32Array,
    tables: Int32Array,
    sequences: number,
    tableWidth: number,
    blockRows: number,
    poolRows: number,
    T: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    mayRound: 0 | 1,
  ): void;
  /** The same of codes k, v [poolRows, Hkv, D] with scales [poolRows, Hkv]. */
  pagedAttentionInt8(
    context: NativeContext,
    out: Float32Array,
    q: Float32Array,
    k: Int8Array,
    kScales: Float32Array,
    v: Int8Array,
    vScales: Float32Array,
    offsetsQ: Int32Array,
    lengths: Int32Array,
    tables: Int32Array,
    sequences: number,
    tableWidth: number,
    blockRows: number,
    poolRows: number,
    T: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
  ): void;
  /** Rows rows[T] of codes[targetRows, Hkv, D] and scales[targetRows, Hkv] = source[T, Hkv, D], rounded; no row twice. */
  scatterRowsInt8(
    context: NativeContext,
    codes: Int8Array,
    scales: Float32Array,
    rows: Int32Array,
    source: Float32Array,
    targetRows: number,
    T: number,
    Hkv: number,
    D: number,
  ): void;
  /** target[rows[T], C] = source[T, C] of target[targetRows, C]; no row twice. */
  scatterRows(
    context: NativeContext,
    target: Float32Array,
    rows: Int32Array,
    source: Float32Array,
    targetRows: number,
    T: number,
    C: number,
  ): void;

  /** out[T, C]: norms over the last axis; weight[C], bias[C]. */
  layerNorm(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    bias: WeightArray,
    biasDType: DTypeCode,
    eps: number,
    T: number,
    C: number,
  ): void;
  /** Codes of layerNorm(x[T, C]), for linearInt8 with `reuse`; T ≤ 4096. */
  quantizeLayerNorm(
    context: NativeContext,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    bias: WeightArray,
    biasDType: DTypeCode,
    eps: number,
    T: number,
    C: number,
  ): void;
  /** Codes of gelu(x[T, C]), alike. @param isExact 1: by erf, 0: by tanh. */
  quantizeGelu(context: NativeContext, x: Float32Array, isExact: 0 | 1, T: number, C: number): void;
  rmsNorm(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    eps: number,
    T: number,
    C: number,
  ): void;
  /** out[T, H, D] from x[T, H, D], positions[T]; D even. */
  rope(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    positions: Int32Array,
    theta: number,
    T: number,
    H: number,
    D: number,
  ): void;
  /** out[n] = gelu(x[n]). */
  geluTanh(context: NativeContext, out: Float32Array, x: Float32Array): void;
  geluErf(context: NativeContext, out: Float32Array, x: Float32Array): void;
  /** out[n] = silu(gate[n]) · up[n]. */
  swiglu(context: NativeContext, out: Float32Array, gate: Float32Array, up: Float32Array): void;
  /** out[T, C] = table[ids[T]] of table[V, C]. */
  embedding(
    context: NativeContext,
    out: Float32Array,
    ids: Int32Array,
    table: WeightArray,
    tableDType: DTypeCode,
    T: number,
    V: number,
    C: number,
  ): void;
  /** out[B · P, C] from pixels[B, 3, S, S], weight[C, 3, patch, patch], bias[C], position[P, C]; P = ⌊S / patch⌋². */
  patchEmbed(
    context: NativeContext,
    out: Float32Array,
    pixels: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    bias: WeightArray,
    biasDType: DTypeCode,
    position: WeightArray,
    positionDType: DTypeCode,
    B: number,
    S: number,
    patch: number,
    C: number,
  ): void;
  /** out[B, ⌈s/k⌉, ⌈s/k⌉, k · k · C] from x[B, s, s, C]. */
  spaceToChannel(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    B: number,
    s: number,
    C: number,
    k: number,
  ): void;
  /** out[height, width, C] from x[h, w, C]. */
  areaResize(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    h: number,
    w: number,
    C: number,
    height: number,
    width: number,
  ): void;
  /** out[F/pt, h/ph, w/pw, C] from x[F, h, w, C]. */
  pool3d(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    F: number,
    h: number,
    w: number,
    C: number,
    pt: number,
    ph: number,
    pw: number,
  ): void;
  /** out[gy · h, gx · w, C] from x[gy · gx, h, w, C]. */
  stitchTiles(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    gy: number,
    gx: number,
    h: number,
    w: number,
    C: number,
  ): void;
  /** out[gy · gx, h, w, C] from x[gy · h, gx · w, C]. */
  splitTiles(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    gy: number,
    gx: number,
    h: number,
    w: number,
    C: number,
  ): void;
  /** Columns [column, column + C) of out[T, width] = x[T, C]. */
  copyColumns(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    T: number,
    C: number,
    width: number,
    column: number,
  ): void;

  /** codes[M, C] and scales[M] of weight[M, C]; sums[M, 2]: Σ (w − ŵ)² and Σ w² of every row. C ≥ 1. */
  quantizeInt8(
    context: NativeContext,
    codes: Int8Array,
    scales: Float32Array,
    sums: Float64Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    M: number,
    C: number,
  ): void;
  /**
   * codes[M, C / 2], scales[M, C / group] and zeros[M, C / group] of weight[M, C]; group is even, at most 256, and divides C.
   * @param halfScales 1: scales are rounded to halves before they are used.
   */
  quantizeInt4(
    context: NativeContext,
    codes: Uint8Array,
    scales: Float32Array,
    zeros: Uint8Array,
    sums: Float64Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    M: number,
    C: number,
    group: number,
    symmetric: 0 | 1,
    halfScales: 0 | 1,
  ): void;
  /** codes[M, C], scales[M] → a packed weight (native/packed_layout.h). */
  packInt8(context: NativeContext, codes: Int8Array, scales: Float32Array, M: number, C: number): ArrayBuffer;
  /** codes[M, C / 2], scales and zeros[M, C / weightGroup] → a packed weight in groups of `group`: 32, 64 or 128. */
  packInt4(
    context: NativeContext,
    codes: Uint8Array,
    scales: Float32Array,
    zeros: Uint8Array,
    M: number,
    C: number,
    weightGroup: number,
    group: number,
  ): ArrayBuffer;
  /**
   * out[T, M] = x[T, C] · packed[…, C]ᵀ + bias[M] for the first M outputs. `reuse` 1: x is what the last product with a packed weight took,
   * for the same C, groups and bits; it is not quantised again.
   */
  linearInt8(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    packed: Uint8Array,
    bias: WeightArray | null,
    biasDType: DTypeCode,
    T: number,
    M: number,
    reuse: 0 | 1,
  ): void;
  /** The same for int4 weights; activations become codes of `bytesOfCode` bytes. */
  linearInt4(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    packed: Uint8Array,
    bias: WeightArray | null,
    biasDType: DTypeCode,
    T: number,
    M: number,
    bytesOfCode: 1 | 2 | 3,
    reuse: 0 | 1,
  ): void;
  /** out[T, M] = (silu(x · gateᵀ) · (x · upᵀ)) · downᵀ for int4 weights, gate and up of the same width and groups. */
  gatedMlpInt4(
    context: NativeContext,
    out: Float32Array,
    x: Float32Array,
    gate: Uint8Array,
    up: Uint8Array,
    down: Uint8Array,
    T: number,
    M: number,
    bytesOfCode: 1 | 2 | 3,
    reuse: 0 | 1,
  ): void;
  /** out[T, C]: rows ids[T] of a packed table. */
  embeddingPacked(context: NativeContext, out: Float32Array, ids: Int32Array, packed: Uint8Array, T: number): void;

  /** Maps a whole file copy-on-write. @throws Error with the system's reason. */
  mapOpen(path: string): NativeFileMap;
  /** Bytes. */
  mapSize(map: NativeFileMap): number;
  /** The bytes [offset, offset + byteLength) without a copy; keeps the mapping alive. */
  mapView(map: NativeFileMap, offset: number, byteLength: number): ArrayBuffer;

  /** For benchmarks: runs multiply-adds on every thread, returns how many floating-point operations were done. */
  peakFma(context: NativeContext, rounds: number): number;
  /** For benchmarks: reads `data` once with every thread, returns its sum. */
  readAll(context: NativeContext, data: Float32Array): number;
}
