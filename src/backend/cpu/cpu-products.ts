/**
 * Products with packed weights in the addon, and which codes its last quantisation left in its memory, so that products that need the same
 * ones do not make them again: q, k and v read one norm, gate and up another.
 */
import type { GeluKind, Int4Activations, NormOperands, Operand, PackedWeight, Storage } from "../backend.ts";
import { f32 } from "../host.ts";
import { rowsOf, widthOf } from "../operand-sizes.ts";
import type { Binding } from "./binding.ts";
import type { CpuPacked } from "./cpu-packed.ts";
import type { NativeContext } from "./native-types.ts";
import { weightArray, weightCode } from "./weight-argument.ts";

/** What the addon's codes are of: rows as they are, or what was computed of them. */
interface Codes {
  readonly storage: Storage;
  readonly group: number;
  readonly of: NormOperands | GeluKind | null;
}

/** Rows whose codes are in memory together: kMostRowsOfPart of native/kernels/fused.h. */
const MOST_FUSED_ROWS = 4096;

const BYTES_OF_CODE: Readonly<Record<Int4Activations, 1 | 2 | 3>> = { int8: 1, int16: 2, int24: 3 };

/** Whether a product with `weight` can take codes that a fused kernel made of x. */
export function canFuse(x: Operand, weight: PackedWeight): boolean {
  const T = rowsOf(x);
  return weight.format === "int8" && T > 0 && T <= MOST_FUSED_ROWS && weight.shape[0] > 0;
}

export class CpuProducts {
  readonly #native: Binding;
  readonly #context: NativeContext;
  readonly #bytesOfCode: 1 | 2 | 3;
  /** Of the last product. Storages are written once, when an operation fills them; whoever writes to one again calls `forget`. */
  #codes: Codes | null = null;

  constructor(native: Binding, context: NativeContext, int4Activations: Int4Activations) {
    this.#native = native;
    this.#context = context;
    this.#bytesOfCode = BYTES_OF_CODE[int4Activations];
  }

  /** A storage was written again. */
  forget(): void {
    this.#codes = null;
  }

  linear(out: Operand, x: Operand, { format, bytes, group, shape }: CpuPacked, bias: Operand | null): void {
    const [b, biasCode] = bias ? [weightArray(bias), weightCode(bias)] : [null, 0 as const];
    this.#reusing(x, group, shape[0], (T, M, reuse) => {
      if (format === "int8") {
        this.#native.linearInt8(this.#context, f32(out), f32(x), bytes, b, biasCode, T, M, reuse);
      } else {
        this.#native.linearInt4(this.#context, f32(out), f32(x), bytes, b, biasCode, T, M, this.#bytesOfCode, reuse);
      }
    });
  }

  /** Of int4 weights, gate and up with the same groups. */
  gatedMlp(out: Operand, x: Operand, gate: CpuPacked, up: CpuPacked, down: CpuPacked): void {
    const [g, u, d] = [gate.bytes, up.bytes, down.bytes];
    this.#reusing(x, up.group, down.shape[0], (T, M, reuse) =>
      this.#native.gatedMlpInt4(this.#context, f32(out), f32(x), g, u, d, T, M, this.#bytesOfCode, reuse),
    );
  }

  ofLayerNorm(out: Operand, x: Operand, norm: NormOperands, weight: CpuPacked, bias: Operand | null): void {
    if (!this.#has(x.storage, 0, norm)) {
      const [w, b] = [weightArray(norm.weight), weightArray(norm.bias)];
      const [wCode, bCode] = [weightCode(norm.weight), weightCode(norm.bias)];
      this.#codes = null;
      this.#native.quantizeLayerNorm(this.#context, f32(x), w, wCode, b, bCode, norm.eps, rowsOf(x), widthOf(x));
    }
    this.#linearOfCodes(out, x, weight, bias);
    this.#codes = { storage: x.storage, group: 0, of: norm };
  }

  ofGelu(out: Operand, x: Operand, kind: GeluKind, weight: CpuPacked, bias: Operand | null): void {
    if (!this.#has(x.storage, 0, kind)) {
      this.#codes = null;
      this.#native.quantizeGelu(this.#context, f32(x), kind === "erf" ? 1 : 0, rowsOf(x), widthOf(x));
    }
    this.#linearOfCodes(out, x, weight, bias);
    this.#codes = { storage: x.storage, group: 0, of: kind };
  }

  /** Runs a product that quantises x in groups, unless its codes are there, and notes that they are now. */
  #reusing(x: Operand, group: number, M: number, run: (T: number, M: number, reuse: 0 | 1) => void): void {
    const T = rowsOf(x);
    const reuse = this.#has(x.storage, group, null) ? 1 : 0;
    this.#codes = null;
    run(T, M, reuse);
    // Nothing was quantised where nothing was multiplied.
    if (T > 0 && M > 0) this.#codes = { storage: x.storage, group, of: null };
  }

  #has(storage: Storage, group: number, of: Codes["of"]): boolean {
    const last = this.#codes;
    return last?.storage === storage && last.group === group && isSameOrigin(last.of, of);
  }

  /** The product of the codes that were made last. x gives their number only. */
  #linearOfCodes(out: Operand, x: Operand, { bytes, shape }: CpuPacked, bias: Operand | null): void {
    const b = bias && weightArray(bias);
    const biasCode = bias ? weightCode(bias) : 0;
    this.#native.linearInt8(this.#context, f32(out), f32(x), bytes, b, biasCode, rowsOf(x), shape[0], 1);
  }
}

function isSameOrigin(a: Codes["of"], b: Codes["of"]): boolean {
  if (a === null || b === null || typeof a === "string" || typeof b === "string") return a === b;
  return a.weight.storage === b.weight.storage && a.bias.storage === b.bias.storage && a.eps === b.eps;
}
