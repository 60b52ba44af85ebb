/** Element types of tensors and their typed arrays. Pure data, no compute. */

/**
 * f32: activations and weights. bf16, f16: weights, as stored (bits in a Uint16Array). i32: ids and positions. u8: pixels.
 * i8, i16, i32, u8 also: codes of quantised weights, as stored. i64: sizes in checkpoints, as two i32 words each, low word first.
 */
export type DType = "f32" | "bf16" | "f16" | "i32" | "u8" | "i8" | "i16" | "i64";

/** The array that holds elements of each dtype on the host. */
export interface ArrayOf {
  f32: Float32Array;
  bf16: Uint16Array;
  f16: Uint16Array;
  i32: Int32Array;
  u8: Uint8Array;
  i8: Int8Array;
  i16: Int16Array;
  i64: Int32Array;
}

export type HostArray = ArrayOf[DType];

/** Bytes per element. */
export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  f32: 4,
  bf16: 2,
  f16: 2,
  i32: 4,
  u8: 1,
  i8: 1,
  i16: 2,
  i64: 8,
};

/** True for the dtypes that a weight may be stored in. */
export function isWeightDType(dtype: DType): dtype is "f32" | "bf16" | "f16" {
  return dtype === "f32" || dtype === "bf16" || dtype === "f16";
}

/** A view of `count` elements of `dtype` over `buffer`. `byteOffset` must be a multiple of the element size. */
export function arrayView(dtype: DType, buffer: ArrayBuffer, byteOffset: number, count: number): HostArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(buffer, byteOffset, count);
    case "bf16":
    case "f16":
      return new Uint16Array(buffer, byteOffset, count);
    case "i32":
      return new Int32Array(buffer, byteOffset, count);
    case "u8":
      return new Uint8Array(buffer, byteOffset, count);
    case "i8":
      return new Int8Array(buffer, byteOffset, count);
    case "i16":
      return new Int16Array(buffer, byteOffset, count);
    case "i64":
      return new Int32Array(buffer, byteOffset, 2 * count);
    default:
      return dtype satisfies never;
  }
}
