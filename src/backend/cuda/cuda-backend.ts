/**
 * The `cuda` backend: training on an NVIDIA GPU, in f32. It has every dense operation and every gradient; operations of inference alone
 * (quantised weights, paged keys and values) are refused by name. Only turns operands into arguments; shapes were checked by tensor/ops.ts.
 * Why it exists and what it leaves out: docs/decisions/0016-cuda.md.
 */
import type { DType, HostArray } from "../../core/dtype.ts";
import { elementCount } from "../../core/shape.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { AttentionOptions, GeluKind, Operand, PackedWeight, PixelBytes, Storage } from "../backend.ts";
import { rowsOf, widthOf } from "../operand-sizes.ts";
import type { LearningBackend, TrainingBackend } from "../training-backend.ts";
import type { CudaBinding } from "./binding.ts";
import { callOf, dense } from "./cuda-arguments.ts";
import { CudaMemory, f32, i32 } from "./cuda-memory.ts";
import { cudaTraining } from "./cuda-training.ts";
import { OffsetCache } from "./offset-cache.ts";

export class CudaBackend implements LearningBackend {
  readonly name = "cuda";
  readonly description: string;
  /** Of the host: one gives the GPU its work. */
  readonly threads = 1;
  readonly isWide = true;
  readonly training: TrainingBackend;
  readonly #native: CudaBinding;
  readonly #memory: CudaMemory;
  readonly #offsets: OffsetCache;

  /**
   * On the first GPU.
   * @param mayRound Whether products round their operands to TF32, 11 bits of a number, and run on tensor cores. Default: no.
   * @throws Error when there is none.
   */
  constructor(native: CudaBinding, mayRound = false) {
    this.#native = native;
    this.description = `cuda (${native.open(mayRound)})`;
    this.#memory = new CudaMemory(native);
    this.#offsets = new OffsetCache(this.#memory);
    this.training = cudaTraining(native, this.#memory, this.#offsets);
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
    return this.#memory.readWhenDone(storage, into);
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    this.#memory.copy(target, targetStart, source);
  }

  linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void {
    const [M, C] = weight.shape;
    this.#native.linear(f32(out), f32(x), dense(weight), bias ? dense(bias) : 0, rowsOf(x), C, M);
  }

  layerNorm(out: Operand, x: Operand, weight: Operand, bias: Operand, eps: number): void {
    this.#native.layerNorm(f32(out), f32(x), dense(weight), dense(bias), eps, rowsOf(x), widthOf(x));
  }

  rmsNorm(out: Operand, x: Operand, weight: Operand, eps: number): void {
    this.#native.rmsNorm(f32(out), f32(x), dense(weight), eps, rowsOf(x), widthOf(x));
  }

  attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void {
    const { offsetsQ, offsetsK, segments, T, S, H, Hkv, D } = callOf(q, k, options, this.#offsets);
    this.#native.attention(
      f32(out),
      f32(q),
      f32(k),
      f32(v),
      offsetsQ,
      offsetsK,
      segments,
      T,
      S,
      H,
      Hkv,
      D,
      options.scale,
      options.causal,
    );
  }

  rope(out: Operand, x: Operand, positions: Operand, theta: number): void {
    const [T, H, D] = x.shape;
    this.#native.rope(f32(out), f32(x), i32(positions), theta, 1, T, H, D);
  }

  gelu(out: Operand, x: Operand, kind: GeluKind): void {
    this.#native.gelu(f32(out), f32(x), kind === "tanh", x.storage.length);
  }

  swiglu(out: Operand, gate: Operand, up: Operand): void {
    this.#native.swiglu(f32(out), f32(gate), f32(up), gate.storage.length);
  }

  add(out: Operand, a: Operand, b: Operand): void {
    this.#native.add(f32(out), f32(a), f32(b), a.storage.length);
  }

  embedding(out: Operand, ids: Operand, table: Operand): void {
    this.#native.embedding(f32(out), i32(ids), dense(table), ids.storage.length, table.shape[1]);
  }

  scatterRows(target: Operand, rows: Operand, source: Operand): void {
    const C = elementCount(target.shape.slice(1));
    this.#native.scatterRows(f32(target), i32(rows), f32(source), source.shape[0], C);
  }

  patchEmbed(out: Operand, pixels: Operand, weight: Operand, bias: Operand, position: Operand): void {
    const [B, , S] = pixels.shape;
    const [C, , patch] = weight.shape;
    this.#native.patchEmbed(f32(out), f32(pixels), dense(weight), dense(bias), dense(position), B, S, patch, C);
  }

  pixelValues(out: Operand, { bytes, table }: PixelBytes): void {
    const [n, , S] = out.shape;
    const source = this.#memory.wrap("i8", new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#native.pixelValues(f32(out), source.pointer, this.#memory.wrap("f32", table).pointer, n, S);
  }

  spaceToChannel(out: Operand, x: Operand, k: number): void {
    const [B, s, , C] = x.shape;
    this.#native.spaceToChannel(f32(out), f32(x), B, s, C, k);
  }

  areaResize(out: Operand, x: Operand): void {
    const [h, w, C] = x.shape;
    this.#native.areaResize(f32(out), f32(x), h, w, C, out.shape[0], out.shape[1]);
  }

  pool3d(out: Operand, x: Operand, [pt, ph, pw]: readonly [pt: number, ph: number, pw: number]): void {
    const [F, h, w, C] = x.shape;
    this.#native.pool3d(f32(out), f32(x), F, h, w, C, pt, ph, pw);
  }

  stitchTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    const [, h, w, C] = x.shape;
    this.#native.stitchTiles(f32(out), f32(x), gridRows, gridCols, h, w, C);
  }

  splitTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
    const [, h, w, C] = out.shape;
    this.#native.splitTiles(f32(out), f32(x), gridRows, gridCols, h, w, C);
  }

  concatColumns(out: Operand, parts: readonly Operand[]): void {
    const [T, width] = [rowsOf(out), widthOf(out)];
    let column = 0;
    for (const part of parts) {
      const C = widthOf(part);
      this.#native.copyColumns(f32(out), width, column, f32(part), C, 0, T, C);
      column += C;
    }
  }

  // — of inference alone —

  pack(): PackedWeight {
    throw unsupported("quantised weights");
  }

  packedRows(): PackedWeight {
    throw unsupported("quantised weights");
  }

  linearPacked(): void {
    throw unsupported("quantised weights");
  }

  layerNormLinearPacked(): void {
    throw unsupported("quantised weights");
  }

  geluLinearPacked(): void {
    throw unsupported("quantised weights");
  }

  gatedMlpPacked(): void {
    throw unsupported("quantised weights");
  }

  embeddingPacked(): void {
    throw unsupported("quantised weights");
  }

  pagedAttention(): void {
    throw unsupported("attention over blocks of keys");
  }

  pagedAttentionInt8(): void {
    throw unsupported("attention over blocks of keys");
  }

  scatterRowsInt8(): void {
    throw unsupported("keys and values in int8");
  }
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError("cuda", `${what}: this device trains, it does not answer. You can use "cpu"`);
}
