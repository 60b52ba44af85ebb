/**
 * The `cpu` backend: host memory and the native addon's kernels (native/kernels). Only turns operands into arguments; shapes
 * were checked by tensor/ops.ts, array sizes are checked again by the addon.
 */
import type { DType, HostArray } from "../../core/dtype.ts";
import { elementCount } from "../../core/shape.ts";
import type { AttentionOptions, Backend, GeluKind, Operand, Storage } from "../backend.ts";
import { f32, HostMemory } from "../host.ts";
import type { Binding, NativeContext } from "./binding.ts";
import { weightArray, weightCode } from "./weight-argument.ts";

export interface CpuOptions {
  /** Threads that compute, the calling one included. */
  readonly threads: number;
  /** Instruction set: "scalar" or "avx2". Default: the environment's NVILA_CPU_ISA, else the best that this machine runs. */
  readonly isa?: string;
}

export class CpuBackend implements Backend {
  readonly name = "cpu";
  readonly description: string;
  readonly threads: number;
  readonly isa: string;
  readonly #memory = new HostMemory();
  readonly #native: Binding;
  readonly #context: NativeContext;

  /** @throws Error when the machine cannot run `isa`. */
  constructor(native: Binding, options: CpuOptions) {
    this.#native = native;
    this.#context = native.createContext(options.threads, options.isa ?? process.env.NVILA_CPU_ISA ?? "");
    const { isa, threads } = native.describe(this.#context);
    this.isa = isa;
    this.threads = threads;
    this.description = `cpu (${isa}, ${threads} ${threads === 1 ? "thread" : "threads"})`;
  }

  alloc(dtype: DType, length: number): Storage {
    return this.#memory.alloc(dtype, length);
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

  read(storage: Storage): Promise<HostArray> {
    return this.#memory.read(storage);
  }

  linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void {
    const [M, C] = weight.shape;
    const T = elementCount(x.shape.slice(0, -1));
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

  layerNorm(_out: Operand, _x: Operand, _weight: Operand, _bias: Operand, _eps: number): void {
    notYet("layerNorm");
  }

  rmsNorm(_out: Operand, _x: Operand, _weight: Operand, _eps: number): void {
    notYet("rmsNorm");
  }

  attention(out: Operand, q: Operand, k: Operand, v: Operand, options: AttentionOptions): void {
    const [T, H, D] = q.shape;
    const [S, Hkv] = k.shape;
    const { scale, causal, cuSeqlensQ, cuSeqlensK } = options;
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
    );
  }

  rope(_out: Operand, _x: Operand, _positions: Operand, _theta: number): void {
    notYet("rope");
  }

  gelu(_out: Operand, _x: Operand, _kind: GeluKind): void {
    notYet("gelu");
  }

  swiglu(_out: Operand, _gate: Operand, _up: Operand): void {
    notYet("swiglu");
  }

  add(out: Operand, a: Operand, b: Operand): void {
    this.#native.add(this.#context, f32(out), f32(a), f32(b));
  }

  embedding(_out: Operand, _ids: Operand, _table: Operand): void {
    notYet("embedding");
  }

  patchEmbed(_out: Operand, _pixels: Operand, _weight: Operand, _bias: Operand, _position: Operand): void {
    notYet("patchEmbed");
  }

  spaceToChannel(_out: Operand, _x: Operand, _k: number): void {
    notYet("spaceToChannel");
  }

  areaResize(_out: Operand, _x: Operand): void {
    notYet("areaResize");
  }

  pool3d(_out: Operand, _x: Operand, _window: readonly [pt: number, ph: number, pw: number]): void {
    notYet("pool3d");
  }

  stitchTiles(_out: Operand, _x: Operand, _gridRows: number, _gridCols: number): void {
    notYet("stitchTiles");
  }

  splitTiles(_out: Operand, _x: Operand, _gridRows: number, _gridCols: number): void {
    notYet("splitTiles");
  }

  concatColumns(_out: Operand, _parts: readonly Operand[]): void {
    notYet("concatColumns");
  }

  copy(target: Storage, targetStart: number, source: Storage): void {
    this.#memory.copy(target, targetStart, source);
  }
}

function notYet(op: string): never {
  throw new Error(`internal: [${op}] has no native kernel`);
}
