/**
 * Writes GGUF files, version 3: typed metadata, then descriptions of tensors, then their bytes, each at a multiple of the alignment.
 * Knows no model. Source: ggml `docs/gguf.md`; block sizes from `ggml-common.h` (ggml-org/ggml@d99724f).
 */
import { open } from "node:fs/promises";
import { writeAll } from "../../src/io/new-folder.ts";

/** In the order of their numbers in the format. */
const SCALARS = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;

export type GgufScalar = Exclude<(typeof SCALARS)[number], "array">;

export type GgufValue =
  | { readonly type: GgufScalar; readonly value: number | boolean | string }
  | { readonly type: "array"; readonly of: GgufScalar; readonly values: readonly (number | boolean | string)[] };

/** Number in the format, elements of a block, bytes of a block. */
const TENSOR_TYPES = {
  F32: [0, 1, 4],
  F16: [1, 1, 2],
  Q4_0: [2, 32, 18],
  Q4_1: [3, 32, 20],
  Q8_0: [8, 32, 34],
  I32: [26, 1, 4],
} as const;

export type GgufTensorType = keyof typeof TENSOR_TYPES;

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Fastest first: a matrix [out, in] is [in, out] here. */
  readonly dims: readonly number[];
}

export type GgufMetadata = Readonly<Record<string, GgufValue>>;

const ALIGNMENT = 32;

/** Bytes of a tensor's data. @throws RangeError when its rows are no whole number of blocks. */
export function tensorBytes({ name, type, dims }: GgufTensor): number {
  const [, elements, bytes] = TENSOR_TYPES[type];
  if (dims[0] % elements !== 0) {
    throw new RangeError(`[gguf] "${name}": expected rows of a multiple of ${elements} for ${type}, got ${dims[0]}`);
  }
  return (dims.reduce((product, n) => product * n, 1) / elements) * bytes;
}

/** Everything in front of the tensors' data, padded to the alignment. */
export function ggufHeader(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Uint8Array {
  const bytes = new Bytes();
  bytes.raw(new TextEncoder().encode("GGUF"));
  bytes.scalar("u32", 3);
  bytes.scalar("u64", tensors.length);
  bytes.scalar("u64", Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    bytes.scalar("string", key);
    bytes.scalar("u32", SCALARS.indexOf(value.type));
    if (value.type === "array") {
      bytes.scalar("u32", SCALARS.indexOf(value.of));
      bytes.scalar("u64", value.values.length);
      for (const item of value.values) bytes.scalar(value.of, item);
    } else bytes.scalar(value.type, value.value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    bytes.scalar("string", tensor.name);
    bytes.scalar("u32", tensor.dims.length);
    for (const n of tensor.dims) bytes.scalar("u64", n);
    bytes.scalar("u32", TENSOR_TYPES[tensor.type][0]);
    bytes.scalar("u64", offset);
    offset += aligned(tensorBytes(tensor));
  }
  bytes.pad(ALIGNMENT);
  return bytes.taken();
}

/**
 * Writes a whole file, tensor by tensor.
 *
 * @param data Pieces of a tensor's bytes, in order; together as long as `tensorBytes` says. A piece may be reused after it was written.
 */
export async function writeGguf(
  path: string,
  metadata: GgufMetadata,
  tensors: readonly GgufTensor[],
  data: (tensor: GgufTensor) => Iterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, "wx");
  try {
    await writeAll(file, ggufHeader(metadata, tensors));
    for (const tensor of tensors) {
      const expected = tensorBytes(tensor);
      let written = 0;
      for (const piece of data(tensor)) {
        await writeAll(file, piece);
        written += piece.length;
      }
      if (written !== expected) {
        throw new RangeError(`[gguf] "${tensor.name}": expected ${expected} bytes, got ${written}`);
      }
      await writeAll(file, new Uint8Array(aligned(expected) - expected));
    }
  } finally {
    await file.close();
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Little-endian values behind one another. */
class Bytes {
  #buffer = new Uint8Array(1 << 16);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  scalar(type: GgufScalar, value: number | boolean | string): void {
    if (type === "string") {
      const text = new TextEncoder().encode(String(value));
      this.scalar("u64", text.length);
      this.raw(text);
      return;
    }
    this.#reserve(8);
    const at = this.#length;
    this.#length += this.#number(type, at, Number(value));
  }

  pad(alignment: number): void {
    this.raw(new Uint8Array((alignment - (this.#length % alignment)) % alignment));
  }

  taken(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Its size. */
  #number(type: Exclude<GgufScalar, "string">, at: number, value: number): number {
    const view = this.#view;
    switch (type) {
      case "u8":
      case "i8":
      case "bool":
        view.setUint8(at, value);
        return 1;
      case "u16":
      case "i16":
        view.setUint16(at, value, true);
        return 2;
      case "u32":
      case "i32":
        view.setUint32(at, value, true);
        return 4;
      case "f32":
        view.setFloat32(at, value, true);
        return 4;
      case "f64":
        view.setFloat64(at, value, true);
        return 8;
      case "u64":
      case "i64":
        view.setBigInt64(at, BigInt(value), true);
        return 8;
    }
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(2 * (this.#length + bytes));
    larger.set(this.taken());
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}
