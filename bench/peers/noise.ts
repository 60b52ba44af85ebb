/** Bytes of noise that weights are made of: one block of them over and over. No kernel's speed depends on that. */
import { Random } from "../../src/util/random.ts";

/** Multiples of 18, the bytes of a q4_0 block, and of 4. */
const BLOCK_BYTES = 18 * 2 ** 16;

/** Pieces of the repeated block that are `bytes` long together. */
export function* repeated(block: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= block.length) yield left < block.length ? block.subarray(0, left) : block;
}

/** Uniform bytes. */
export function noiseBytes(seed: number): Uint8Array {
  const random = new Random(seed);
  const words = Uint32Array.from({ length: BLOCK_BYTES / 4 }, () => random.nextUint32());
  return new Uint8Array(words.buffer);
}

/** f32 numbers in −`amplitude` … `amplitude`, as bytes. */
export function noiseFloats(seed: number, amplitude: number): Uint8Array {
  const random = new Random(seed);
  const numbers = Float32Array.from({ length: BLOCK_BYTES / 4 }, () => amplitude * (2 * random.nextFloat() - 1));
  return new Uint8Array(numbers.buffer);
}

/** One f32 number over and over, as bytes. */
export function constantFloats(value: number): Uint8Array {
  return new Uint8Array(new Float32Array(BLOCK_BYTES / 4).fill(value).buffer);
}

/** Blocks of q4_0: half-precision scales near `scale`, then 32 codes of four bits. */
export function noiseQ4(seed: number, scale: number, halfOf: (value: number) => number): Uint8Array {
  const bytes = noiseBytes(seed);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 18) view.setUint16(at, halfOf(scale * (0.75 + bytes[at] / 512)), true);
  return bytes;
}
