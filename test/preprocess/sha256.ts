/** SHA-256 as the golden files write it. */
import { createHash } from "node:crypto";

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Little-endian fp16 bits of values that already are fp16 values. */
export function f16Bytes(values: Float32Array, toBits: (value: number) => number): Uint8Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = toBits(values[i]);
  return new Uint8Array(bits.buffer);
}
