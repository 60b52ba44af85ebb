/** Rounding that every quantiser here shares: to the nearest integer, ties to even, as torch.round does. */
import { f16ToF32, f32ToBf16, f32ToF16 } from "../util/half.ts";

/**
 * Adding and taking away 1.5 · 2^52 leaves a double rounded to an integer, ties to even. Exact below 2^51; larger values stay near
 * themselves, which is all that a clamp behind it needs.
 */
export const ROUND_MAGIC = 6755399441055744;

/** The nearest integer, ties to even. */
export function roundHalfEven(value: number): number {
  return value + ROUND_MAGIC - ROUND_MAGIC;
}

let f16Values: Float32Array | null = null;

/** The value of every half, by its bits. Made at the first use: 256 KiB. */
export function f16Table(): Float32Array {
  if (f16Values) return f16Values;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) table[bits] = f16ToF32(bits);
  f16Values = table;
  return table;
}

/** Types that scales are stored in. */
export type ScaleDType = "f32" | "f16" | "bf16";

const bitsView = new Uint32Array(1);
const floatView = new Float32Array(bitsView.buffer);

/** The value that `scale` has after it was stored as `dtype`. */
export function roundScale(scale: number, dtype: ScaleDType): number {
  switch (dtype) {
    case "f32":
      return Math.fround(scale);
    case "f16":
      return f16Table()[f32ToF16(scale)];
    case "bf16":
      bitsView[0] = f32ToBf16(scale) << 16;
      return floatView[0];
    default:
      return dtype satisfies never;
  }
}
