/** Reads GGUF files as the format's document describes them, for tests of the writer. Source: ggml `docs/gguf.md`. */

export interface GgufFile {
  /** In order; the type's number, for arrays [9, number of the elements' type]. */
  readonly metadata: readonly { key: string; type: number | readonly [9, number]; value: unknown }[];
  readonly tensors: readonly { name: string; type: number; dims: readonly number[]; offset: number }[];
  /** Where tensors begin. */
  readonly dataStart: number;
}

const ALIGNMENT = 32;

export function readGguf(bytes: Uint8Array): GgufFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (count: number): number => {
    at += count;
    return at - count;
  };
  const u64 = (): number => Number(view.getBigUint64(take(8), true));
  const u32 = (): number => view.getUint32(take(4), true);
  const text = (): string => {
    const length = u64();
    const start = take(length);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, start + length));
  };
  const readers: Readonly<Record<number, () => unknown>> = {
    0: () => view.getUint8(take(1)),
    1: () => view.getInt8(take(1)),
    2: () => view.getUint16(take(2), true),
    3: () => view.getInt16(take(2), true),
    4: u32,
    5: () => view.getInt32(take(4), true),
    6: () => view.getFloat32(take(4), true),
    7: () => view.getUint8(take(1)) === 1,
    8: text,
    10: u64,
    11: () => Number(view.getBigInt64(take(8), true)),
    12: () => view.getFloat64(take(8), true),
  };
  if (u32() !== 0x46554747 || u32() !== 3) throw new Error("no GGUF file of version 3");
  const [tensorCount, keyCount] = [u64(), u64()];
  const metadata = Array.from({ length: keyCount }, () => {
    const key = text();
    const type = u32();
    if (type !== 9) return { key, type, value: readers[type]() };
    const of = u32();
    const value = Array.from({ length: u64() }, () => readers[of]());
    return { key, type: [9, of] as const, value };
  });
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = text();
    const dims = Array.from({ length: u32() }, u64);
    const type = u32();
    return { name, type, dims, offset: u64() };
  });
  return { metadata, tensors, dataStart: Math.ceil(at / ALIGNMENT) * ALIGNMENT };
}
