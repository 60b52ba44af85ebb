/** SHA-256 as the golden files write it. */
import { createHash } from "node:crypto";
import { f32ToF16 } from "../../src/util/half.ts";

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Smallest normal half, as float32 bits. */
const MIN_NORMAL = 0x38800000;

/** Little-endian fp16 bits of values that already are fp16 values: normal ones by a shift, since millions are hashed. */
export function f16Bytes(values: Float32Array): Uint8Array {
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const magnitude = source[i] & 0x7fffffff;
    const isExact = magnitude >= MIN_NORMAL && (magnitude & 0x1fff) === 0;
    bits[i] = isExact ? ((source[i] >>> 16) & 0x8000) | ((magnitude - 0x38000000) >>> 13) : f32ToF16(values[i]);
  }
  return new Uint8Array(bits.buffer);
}
