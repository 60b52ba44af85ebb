/**
 * The `reference` backend: the definition of every operation, one file each, as plain loops over typed arrays. Sums are JavaScript
 * numbers (f64) and are rounded to f32 once, when they are stored. It runs everywhere, is never tuned for speed, and every
 * other backend is held to it (test/ops/). It is itself held to files that PyTorch made (test/models/).
 */
import type { DType, HostArray } from "../../core/dtype.ts";
import type { QuantizedWeight } from "../../core/quantized-weight.ts";
import type {
  AttentionOptions,
  GeluKind,
  Int4Activations,
  Int8Rows,
  NormOperands,
  Operand,
  PackedWeight,
  PagedAttentionOptions,
  Storage,
} from "../backend.ts";
import { HostMemory } from "../host.ts";
import { gatedMlpByLinears, geluThenLinear, layerNormThenLinear } from "../stepwise-packed.ts";
import type { LearningBackend } from "../training-backend.ts";
import { add } from "./add.ts";
import { areaResize } from "./area-resize.ts";
import { attention } from "./attention.ts";
import { concatColumns } from "./concat-columns.ts";
import { embedding } from "./embedding.ts";
import { embeddingPacked } from "./embedding-packed.ts";
import { gelu } from "./gelu.ts";
import { layerNorm } from "./layer-norm.ts";
import { linear } from "./linear.ts";
import { linearPacked } from "./linear-packed.ts";
import { pack, packedRows } from "./packed-weight.ts";
import { pagedAttention, pagedAttentionInt8 } from "./paged-attention.ts";
import { patchEmbed } from "./patch-embed.ts";
import { pool3d } from "./pool3d.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rope } from "./rope.ts";
import { scatterRows, scatterRowsInt8 } from "./scatter-rows.ts";
import { spaceToChannel } from "./space-to-channel.ts";
import { swiglu } from "./swiglu.ts";
import { splitTiles, stitchTiles } from "./tiles.ts";
import { referenceTraining } from "./training/reference-training.ts";

/** The definition of every operation; slow, and everywhere. */
export class ReferenceBackend implements LearningBackend {
  readonly name = "reference";
  readonly description = "reference (plain loops, 1 thread)";
  readonly threads = 1;
  readonly training = referenceTraining;
  readonly int4Activations: Int4Activations;
  readonly #memory = new HostMemory();

  constructor(options: { readonly int4Activations?: Int4Activations } = {}) {
    this.int4Activations = options.int4Activations ?? "int8";
  }

  alloc(dtype: DType, length: number): Storage {
    return this.#memory.alloc(dtype, length);
  }

  zeros(dtype: DType, length: number): Storage {
    return this.#memory.zeros(dtype, length);
  }

  free(storage: Storage): void {
    this.#memory.free(storage);
  }

  wrap(dtype: DType, data: HostArray): Storage {
    return this.#memory.wrap(dtype, data);
  }

  view(storage: Storage, start: number, length: number): Storage {
    return this.#memory.view(storage, start, length);
  }

  read(storage: Storage, into?: HostArray): Promise<HostArray> {
    return this.#memory.read(storage, into);
  }

  linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void {
    linear(out, x, weight, bias);
  }

  pack(weight: QuantizedWeight): PackedWeight {
    return pack(weight);
  }

  packedRows(weight: PackedWeight, rows: number): PackedWeight {
    return packedRows(weight, rows);
  }

  linearPacked(out: Operand, x: Operand, weight: PackedWeight, bias: Operand | null): void {
    linearPacked(out, x, weight, bias, this.int4Activations);
  }

  layerNormLinearPacked(
    out: Operand,
    x: Operand,
    norm: NormOperands,
    weight: PackedWeight,
    bias: Operand | null,
  ): void {
    layerNormThenLinear(this, out, x, norm, weight, bias);
  }

  geluLinearPacked(out: Operand, x: Operand, kind: GeluKind, weight: PackedWeight, bias: Operand | null): void {
    geluThenLinear(this, out, x, kind, weight, bias);
  }

  gatedMlpPacked(out: Operand, x: Operand, gate: PackedWeight, up: PackedWeight, down: PackedWeight): void {
    gatedMlpByLinears(this, out, x, gate, up, down);
  }

  embeddingPacked(out: Operand, ids: Operand, table: PackedWeight): void {
    embeddingPacked(out, ids, table);
  }

  layerNorm(out: Operand, x: Operand, weight: Operand, bias: Operand, eps: number): void {
    layerNorm(out, x, weight, bias, eps);
  }

  rmsNorm(out: Operand, x: Operand, weight: Operand, eps: number): void {
    rmsNorm(out, x, weight, eps);
  }

  attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void {
    attention(out, q, k, v, options);
  }

  pagedAttention(out: Operand, q: Operand, k: Operand, v: Operand, options: PagedAttentionOptions): void {
    pagedAttention(out, q, k, v, options);
  }

  scatterRows(target: Operand, rows: Operand, source: Operand): void {
    scatterRows(target, rows, source);
  }

  pagedAttentionInt8(out: Operand, q: Operand, k: Int8Rows, v: Int8Rows, options: PagedAttentionOptions): void {
    pagedAttentionInt8(out, q, k, v, options);
  }

  scatterRowsInt8(target: Int8Rows, rows: Operand, source: Operand): void {
    scatterRowsInt8(target, rows, source);
  }

  rope(out: Operand, x: Operand, positions: Operand, theta: number): void {
    rope(out, x, positions, theta);
  }

  gelu(out: Operand, x: Operand, kind: GeluKind): void {
    gelu(out, x, kind);
  }

  swiglu(out: Operand, gate: Operand, up: Operand): void {
    swiglu(out, gate, up);
  }

  add(out: Operand, a: Operand, b: Operand): void {
    add(out, a, b);
  }

  embedding(out: Operand, ids: Operand, table: Operand): void {
    embedding(out, ids, table);
  }

  patchEmbed(out: Operand, pixels: Operand, weight: Operand, bias: Operand, position: Operand): void {
    patchEmbed(out, pixels, weight, bias, position);
  }

  spaceToChannel(out: Operand, x: Operand, k: number): void {
    spaceToChannel(out, x, k);
  }

  areaResize(out: Operand, x: Operand): void {
    areaResize(out, x);
  }

  pool3d(out: Operand, x: Operand, window: readonly [pt: number, ph: number, pw: number]): void {
    pool3d(out, x, window);
  }

  stitchTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    stitchTiles(out, x, gridRows, gridCols);
  }

  splitTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    splitTiles(out, x, gridRows, gridCols);
  }

  concatColumns(out: Operand, parts: readonly Operand[]): void {
    concatColumns(out, parts);
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    this.#memory.copy(target, targetStart, source);
  }
}
