/**
 * The `cpu` backend: host memory and the native addon's kernels (native/kernels). Only turns operands into arguments; shapes
 * were checked by tensor/ops.ts, array sizes are checked again by the addon.
 */
import type { DType, HostArray } from "../../core/dtype.ts";
import type { QuantizedWeight } from "../../core/quantized-weight.ts";
import { elementCount } from "../../core/shape.ts";
import type {
  AttentionOptions,
  GeluKind,
  Int4Activations,
  Int8Rows,
  NormOperands,
  Operand,
  PackedFiles,
  PackedWeight,
  PagedAttentionOptions,
  Storage,
} from "../backend.ts";
import { f32, HostMemory, i8, i32 } from "../host.ts";
import { rowsOf, widthOf } from "../operand-sizes.ts";
import { gatedMlpByLinears, geluThenLinear, layerNormThenLinear } from "../stepwise-packed.ts";
import type { LearningBackend, TrainingBackend } from "../training-backend.ts";
import type { Binding } from "./binding.ts";
import { type CpuPacked, PACKED_LAYOUT, packedFromBytes, packForCpu } from "./cpu-packed.ts";
import { CpuProducts, canFuse } from "./cpu-products.ts";
import { cpuTraining } from "./cpu-training.ts";
import type { NativeContext } from "./native-types.ts";
import { weightArray, weightCode } from "./weight-argument.ts";

export interface CpuOptions {
  /** Threads that compute, the calling one included. */
  readonly threads: number;
  /** One of INSTRUCTION_SETS, or BF16_SET. Default: the environment's NVILA_CPU_ISA, else the best that this machine runs. */
  readonly isa?: string;
  /** What activations are rounded to in front of an int4 weight. Default: int8. */
  readonly int4Activations?: Int4Activations;
  /** Freed memory that is kept for reuse, in bytes. Default: 128 MiB. */
  readonly pooledBytes?: number | undefined;
}

export class CpuBackend implements LearningBackend {
  readonly name = "cpu";
  readonly description: string;
  readonly threads: number;
  readonly isa: string;
  readonly int4Activations: Int4Activations;
  readonly training: TrainingBackend;
  readonly #memory: HostMemory;
  readonly #native: Binding;
  readonly #context: NativeContext;
  readonly #products: CpuProducts;

  /** @throws Error when the machine cannot run `isa`. */
  constructor(native: Binding, options: CpuOptions) {
    this.#native = native;
    this.#memory = new HostMemory(options.pooledBytes);
    this.int4Activations = options.int4Activations ?? "int8";
    this.#context = native.createContext(options.threads, options.isa ?? process.env.NVILA_CPU_ISA ?? "");
    this.#products = new CpuProducts(native, this.#context, this.int4Activations);
    const { isa, threads } = native.describe(this.#context);
    this.training = cpuTraining(native, this.#context);
    this.isa = isa;
    this.threads = threads;
    this.description = `cpu (${isa}, ${threads} ${threads === 1 ? "thread" : "threads"})`;
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
    const [M, C] = weight.shape;
    const T = rowsOf(x);
    this.#native.linear(
      this.#context,
      f32(out),
      f32(x),
      weightArray(weight),
      weightCode(weight),
      bias && weightArray(bias),
      bias ? weightCode(bias) : 0,
      T,
      C,
      M,
    );
  }

  readonly packedFiles: PackedFiles = {
    layout: PACKED_LAYOUT,
    bytes: (weight) => (weight as CpuPacked).bytes,
    adopt: packedFromBytes,
  };

  pack(weight: QuantizedWeight): PackedWeight {
    return packForCpu(this.#native, this.#context, weight);
  }

  packedRows(weight: PackedWeight, rows: number): PackedWeight {
    return { ...(weight as CpuPacked), shape: [rows, weight.shape[1]] };
  }

  linearPacked(out: Operand, x: Operand, weight: PackedWeight, bias: Operand | null): void {
    this.#products.linear(out, x, weight as CpuPacked, bias);
  }

  layerNormLinearPacked(
    out: Operand,
    x: Operand,
    norm: NormOperands,
    weight: PackedWeight,
    bias: Operand | null,
  ): void {
    if (canFuse(x, weight)) this.#products.ofLayerNorm(out, x, norm, weight as CpuPacked, bias);
    else layerNormThenLinear(this, out, x, norm, weight, bias);
  }

  geluLinearPacked(out: Operand, x: Operand, kind: GeluKind, weight: PackedWeight, bias: Operand | null): void {
    if (canFuse(x, weight)) this.#products.ofGelu(out, x, kind, weight as CpuPacked, bias);
    else geluThenLinear(this, out, x, kind, weight, bias);
  }

  gatedMlpPacked(out: Operand, x: Operand, gate: PackedWeight, up: PackedWeight, down: PackedWeight): void {
    const [g, u, d] = [gate as CpuPacked, up as CpuPacked, down as CpuPacked];
    const isOne = [g, u, d].every(({ format }) => format === "int4") && g.group === u.group;
    if (isOne) this.#products.gatedMlp(out, x, g, u, d);
    else gatedMlpByLinears(this, out, x, gate, up, down);
  }

  embeddingPacked(out: Operand, ids: Operand, table: PackedWeight): void {
    const { bytes } = table as CpuPacked;
    this.#native.embeddingPacked(this.#context, f32(out), i32(ids), bytes, ids.storage.length);
  }

  layerNorm(out: Operand, x: Operand, weight: Operand, bias: Operand, eps: number): void {
    const [w, b] = [weightArray(weight), weightArray(bias)];
    const [T, C] = matrixSize(x);
    this.#native.layerNorm(this.#context, f32(out), f32(x), w, weightCode(weight), b, weightCode(bias), eps, T, C);
  }

  rmsNorm(out: Operand, x: Operand, weight: Operand, eps: number): void {
    const [T, C] = matrixSize(x);
    this.#native.rmsNorm(this.#context, f32(out), f32(x), weightArray(weight), weightCode(weight), eps, T, C);
  }

  attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void {
    const [T, H, D] = q.shape;
    const [S, Hkv] = k.shape;
    const { scale, causal, cuSeqlensQ, cuSeqlensK, mayRound } = options;
    const segments = (cuSeqlensQ ?? cuSeqlensK)?.length ?? 2;
    this.#native.attention(
      this.#context,
      f32(out),
      f32(q),
      f32(k),
      f32(v),
      cuSeqlensQ,
      cuSeqlensK,
      segments - 1,
      T,
      S,
      H,
      Hkv,
      D,
      scale,
      causal ? 1 : 0,
      mayRound ? 1 : 0,
    );
  }

  pagedAttention(out: Operand, q: Operand, k: Operand, v: Operand, options: PagedAttentionOptions): void {
    const [T, H, D] = q.shape;
    const [rows, Hkv] = k.shape;
    const { scale, blockSize, cuSeqlensQ, kvLengths, blockTables, mayRound } = options;
    const sequences = kvLengths.length;
    this.#native.pagedAttention(
      this.#context,
      f32(out),
      f32(q),
      f32(k),
      f32(v),
      cuSeqlensQ,
      kvLengths,
      blockTables,
      sequences,
      sequences > 0 ? blockTables.length / sequences : 0,
      blockSize,
      rows,
      T,
      H,
      Hkv,
      D,
      scale,
      mayRound ? 1 : 0,
    );
  }

  scatterRows(target: Operand, rows: Operand, source: Operand): void {
    this.#products.forget();
    const [T] = source.shape;
    const C = elementCount(target.shape.slice(1));
    this.#native.scatterRows(this.#context, f32(target), i32(rows), f32(source), target.shape[0], T, C);
  }

  pagedAttentionInt8(out: Operand, q: Operand, k: Int8Rows, v: Int8Rows, options: PagedAttentionOptions): void {
    const [T, H, D] = q.shape;
    const [rows, Hkv] = k.codes.shape;
    const { scale, blockSize, cuSeqlensQ, kvLengths, blockTables } = options;
    const sequences = kvLengths.length;
    this.#native.pagedAttentionInt8(
      this.#context,
      f32(out),
      f32(q),
      i8(k.codes),
      f32(k.scales),
      i8(v.codes),
      f32(v.scales),
      cuSeqlensQ,
      kvLengths,
      blockTables,
      sequences,
      sequences > 0 ? blockTables.length / sequences : 0,
      blockSize,
      rows,
      T,
      H,
      Hkv,
      D,
      scale,
    );
  }

  scatterRowsInt8(target: Int8Rows, rows: Operand, source: Operand): void {
    const [T, H, D] = source.shape;
    const [codes, scales] = [i8(target.codes), f32(target.scales)];
    this.#native.scatterRowsInt8(this.#context, codes, scales, i32(rows), f32(source), target.codes.shape[0], T, H, D);
  }

  rope(out: Operand, x: Operand, positions: Operand, theta: number): void {
    const [T, H, D] = x.shape;
    this.#native.rope(this.#context, f32(out), f32(x), i32(positions), theta, T, H, D);
  }

  gelu(out: Operand, x: Operand, kind: GeluKind): void {
    if (kind === "tanh") this.#native.geluTanh(this.#context, f32(out), f32(x));
    else this.#native.geluErf(this.#context, f32(out), f32(x));
  }

  swiglu(out: Operand, gate: Operand, up: Operand): void {
    this.#native.swiglu(this.#context, f32(out), f32(gate), f32(up));
  }

  add(out: Operand, a: Operand, b: Operand): void {
    this.#native.add(this.#context, f32(out), f32(a), f32(b));
  }

  embedding(out: Operand, ids: Operand, table: Operand): void {
    const [V, C] = table.shape;
    const rows = weightArray(table);
    this.#native.embedding(this.#context, f32(out), i32(ids), rows, weightCode(table), ids.storage.length, V, C);
  }

  patchEmbed(out: Operand, pixels: Operand, weight: Operand, bias: Operand, position: Operand): void {
    const [B, , S] = pixels.shape;
    const [C, , patch] = weight.shape;
    this.#native.patchEmbed(
      this.#context,
      f32(out),
      f32(pixels),
      weightArray(weight),
      weightCode(weight),
      weightArray(bias),
      weightCode(bias),
      weightArray(position),
      weightCode(position),
      B,
      S,
      patch,
      C,
    );
  }

  spaceToChannel(out: Operand, x: Operand, k: number): void {
    const [B, s, , C] = x.shape;
    this.#native.spaceToChannel(this.#context, f32(out), f32(x), B, s, C, k);
  }

  areaResize(out: Operand, x: Operand): void {
    const [h, w, C] = x.shape;
    const [height, width] = out.shape;
    this.#native.areaResize(this.#context, f32(out), f32(x), h, w, C, height, width);
  }

  pool3d(out: Operand, x: Operand, [pt, ph, pw]: readonly [pt: number, ph: number, pw: number]): void {
    const [F, h, w, C] = x.shape;
    this.#native.pool3d(this.#context, f32(out), f32(x), F, h, w, C, pt, ph, pw);
  }

  stitchTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    const [, h, w, C] = x.shape;
    this.#native.stitchTiles(this.#context, f32(out), f32(x), gridRows, gridCols, h, w, C);
  }

  splitTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    const [, h, w, C] = out.shape;
    this.#native.splitTiles(this.#context, f32(out), f32(x), gridRows, gridCols, h, w, C);
  }

  concatColumns(out: Operand, parts: readonly Operand[]): void {
    const [T, width] = matrixSize(out);
    let column = 0;
    for (const part of parts) {
      const C = part.shape.at(-1) ?? 0;
      this.#native.copyColumns(this.#context, f32(out), f32(part), T, C, width, column);
      column += C;
    }
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    this.#products.forget();
    this.#memory.copy(target, targetStart, source);
  }

  /** For benchmarks: multiply-adds out of registers on this backend's own threads; returns how many operations were done. */
  peakFma(rounds: number): number {
    return this.#native.peakFma(this.#context, rounds);
  }

  /** For benchmarks: reads `data` once with this backend's own threads; returns its sum. */
  readAll(data: Float32Array): number {
    return this.#native.readAll(this.#context, data);
  }
}

/** Rows and width of an operand as a matrix over its last axis. */
function matrixSize(operand: Operand): [T: number, C: number] {
  return [rowsOf(operand), widthOf(operand)];
}
