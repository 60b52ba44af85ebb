/**
 * The one typed mirror of the native addon (native/addon*.cc). Arrays must have exactly the sizes that the comments say; the
 * addon checks them and throws an "internal:" Error. Sizes follow docs/notation.md.
 */

/** A thread pool and the kernels of one instruction set; freed with the last reference. */
export interface NativeContext {
  readonly __brand: "NativeContext";
}

/** A mapped file; unmapped when it and all its views are gone. */
export interface NativeFileMap {
  readonly __brand: "NativeFileMap";
}

/** How the addon tells dtypes of weights apart. */
export const DTYPE_CODE = { f32: 0, bf16: 1, f16: 2 } as const;
export type DTypeCode = (typeof DTYPE_CODE)[keyof typeof DTYPE_CODE];

/** f32 elements, or bf16 and f16 bits. */
export type WeightArray = Float32Array | Uint16Array;

export interface Binding {
  /** @param isa "scalar", "avx2", or "" for the best one. @throws Error when this machine cannot run it. */
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
  ): void;

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
