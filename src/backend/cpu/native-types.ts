/** Values that only the native addon makes, and how it tells dtypes of weights apart. */

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
