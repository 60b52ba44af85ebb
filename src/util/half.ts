/**
 * 16-bit float conversions: IEEE half (f16) and bfloat16, as bits in a `Uint16Array` element.
 * Rounding is to nearest, ties to even. Slow definitions; kernels have their own, tested against these.
 */

const bitsView = new Uint32Array(1);
const floatView = new Float32Array(bitsView.buffer);

/** bfloat16 bits → float32. Exact. */
export function bf16ToF32(bits: number): number {
  bitsView[0] = bits << 16;
  return floatView[0];
}

/** float32 → bfloat16 bits; NaN stays NaN (quiet). */
export function f32ToBf16(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** IEEE half bits → float32. Exact, subnormals included. */
export function f16ToF32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float32 → IEEE half bits; overflow goes to infinity, NaN stays NaN (quiet). */
export function f32ToF16(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00; // ≥ 65536; 65520…65535 round up below
  if (magnitude < 0x38800000) {
    // Subnormal half: scale so that one unit is 2^-24, then round to even.
    const scaled = Math.abs(floatView[0]) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const up = rest > 0.5 || (rest === 0.5 && (floor & 1) === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Rounds a number to the nearest half and back to float32. */
export function roundToF16(value: number): number {
  return f16ToF32(f32ToF16(value));
}
