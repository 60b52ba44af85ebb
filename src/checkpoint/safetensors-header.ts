/**
 * The header of a safetensors file: 8 bytes little-endian length, then that many bytes of JSON, then the data of all tensors without
 * holes. Everything is checked before any tensor is touched, as the official library (huggingface/safetensors, Rust) does it; duplicate
 * names, which that library lets through, are refused. Knows bytes only, no files.
 */
import { BYTES_PER_ELEMENT, type DType } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";
import { assert } from "../util/assert.ts";
import { messageOf, WeightsError } from "../util/errors.ts";
import { countJsonKeys } from "../util/json-depth.ts";

/** Bytes of the length field in front of the header. */
export const LENGTH_BYTES = 8;

/**
 * The official library stops at 100 MB. The largest known headers have less than 10 MB, and as objects they take some twenty times their
 * text, so a hostile file must not bring more than this.
 */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** {name: {shape: […]}}. */
const MAX_DEPTH = 3;
const MAX_RANK = 32;
const METADATA = "__metadata__";

/** Bits per element of every dtype that the format knows. */
const BITS: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
};

/** Name in the format of each of our dtypes. */
export const STORED_DTYPE: Readonly<Record<DType, string>> = {
  f32: "F32",
  bf16: "BF16",
  f16: "F16",
  i32: "I32",
  u8: "U8",
  i8: "I8",
  i16: "I16",
  i64: "I64",
};

const DTYPES: ReadonlyMap<string, DType> = new Map(
  (Object.keys(STORED_DTYPE) as DType[]).map((dtype) => [STORED_DTYPE[dtype], dtype]),
);

export interface StoredTensor {
  /** As written in the file: "F32", "BF16", "I64", … */
  readonly storedDType: string;
  /** Null when no tensor here can hold it; such a tensor is listed, and refused when it is asked for. */
  readonly dtype: DType | null;
  readonly shape: Shape;
  /** Place in the file, from its first byte. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Bytes of the JSON that follows the length field.
 *
 * @param start The first bytes of the file, at least 8 unless the file is shorter.
 * @throws WeightsError when the file cannot be a safetensors file.
 */
export function readHeaderLength(start: Uint8Array, fileBytes: number, label: string): number {
  if (fileBytes < LENGTH_BYTES || start.length < LENGTH_BYTES) {
    refuse(label, `is no safetensors file: expected at least ${LENGTH_BYTES} bytes, got ${fileBytes}`);
  }
  if (new TextDecoder("latin1").decode(start.subarray(0, LENGTH_BYTES)) === "version ") {
    refuse(label, "is a Git LFS pointer, not the file itself. You can fetch it with `git lfs pull` or `nvila pull`");
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    refuse(
      label,
      `is no safetensors file: it claims a header of ${length} bytes, at most ${MAX_HEADER_BYTES} are read`,
    );
  }
  if (LENGTH_BYTES + Number(length) > fileBytes) {
    refuse(label, `is cut off: it claims a header of ${length} bytes and has ${fileBytes} bytes in all`);
  }
  return Number(length);
}

/**
 * @param json The bytes of the JSON, without the length field.
 * @throws WeightsError when the header is damaged, or does not describe exactly the bytes that follow it.
 */
export function parseSafetensorsHeader(json: Uint8Array, fileBytes: number, label: string): SafetensorsHeader {
  const entries = Object.entries(parseJson(json, label));
  const dataStart = LENGTH_BYTES + json.length;
  const tensors = new Map<string, StoredTensor>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of entries) {
    if (name === METADATA) metadata = readMetadata(value, label);
    else tensors.set(name, readTensor(name, value, dataStart, label));
  }
  expectSeamless(tensors, dataStart, fileBytes, label);
  return { tensors, metadata };
}

function parseJson(json: Uint8Array, label: string): Readonly<Record<string, unknown>> {
  const keys = countJsonKeys(json, MAX_DEPTH);
  if (keys === null) return refuse(label, `has a damaged header: nested deeper than ${MAX_DEPTH} levels`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch (error) {
    throw new WeightsError("safetensors", `${label} has a damaged header: ${messageOf(error)}`, { cause: error });
  }
  if (!isObject(value)) return refuse(label, `has a damaged header: expected an object, got ${kindOf(value)}`);
  const inner = Object.values(value).reduce<number>(
    (count, item) => count + (isObject(item) ? Object.keys(item).length : 0),
    0,
  );
  if (keys[1] !== Object.keys(value).length || keys[2] !== inner) refuse(label, "has a header that names a key twice");
  return value;
}

function readMetadata(value: unknown, label: string): Readonly<Record<string, string>> {
  if (!isObject(value)) return refuse(label, `has a damaged header: expected ${METADATA} to be an object`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      refuse(label, `has a damaged header: expected ${METADATA} ${quote(key)} to be a text, got ${kindOf(text)}`);
  }
  return value as Readonly<Record<string, string>>;
}

function readTensor(name: string, value: unknown, dataStart: number, label: string): StoredTensor {
  const damaged = (what: string): never => refuse(label, `has a damaged header: ${quote(name)} ${what}`);
  if (!isObject(value)) return damaged(`is ${kindOf(value)}, expected an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(BITS, dtype)) {
    return damaged(`has dtype ${shortText(dtype)}, expected one of ${Object.keys(BITS).join(", ")}`);
  }
  if (!isSizes(shape) || shape.length > MAX_RANK) {
    return damaged(`has shape ${shortText(shape)}, expected at most ${MAX_RANK} whole numbers`);
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return damaged(`has data_offsets ${shortText(offsets)}, expected [begin, end]`);
  }
  const [begin, end] = offsets;
  let bits = BITS[dtype];
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) return damaged(`has an impossible shape ${shortText(shape)}`);
  }
  if (bits % 8 !== 0 || end - begin !== bits / 8) {
    return damaged(`has ${end - begin} bytes, expected ${bits / 8} for ${dtype} ${shortText(shape)}`);
  }
  return {
    storedDType: dtype,
    dtype: DTYPES.get(dtype) ?? null,
    shape,
    byteOffset: dataStart + begin,
    byteLength: end - begin,
  };
}

/** Tensors in order of their bytes must follow each other from the header to the end of the file. */
function expectSeamless(
  tensors: ReadonlyMap<string, StoredTensor>,
  dataStart: number,
  fileBytes: number,
  label: string,
): void {
  const order = [...tensors].sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let at = dataStart;
  for (const [name, { byteOffset, byteLength }] of order) {
    if (byteOffset !== at) {
      const what = byteOffset < at ? "overlaps the tensor in front of it" : "leaves a hole in front of it";
      refuse(label, `has a damaged header: ${quote(name)} ${what} (starts at byte ${byteOffset}, expected ${at})`);
    }
    at += byteLength;
  }
  if (at > fileBytes) {
    refuse(label, `is cut off: expected ${at} bytes, got ${fileBytes}. You can download it again`);
  }
  if (at < fileBytes) refuse(label, `has ${fileBytes - at} bytes behind its last tensor, expected none`);
}

/** A tensor that is to be written. */
export interface TensorToWrite {
  /** "F32", "BF16", "I64", … */
  readonly storedDType: string;
  readonly shape: Shape;
  readonly byteLength: number;
}

/**
 * Length field and JSON for tensors one behind the other in this order, padded with spaces so that the first one lies at a multiple of 8.
 * `starts` are their places in the file.
 *
 * @param totalBytes Bytes that the header takes in all, a multiple of 8 that is large enough. Default: as few as it needs.
 */
export function formatSafetensorsHeader(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>>,
  totalBytes?: number,
): { readonly bytes: Uint8Array; readonly starts: ReadonlyMap<string, number> } {
  const entries: [string, unknown][] = [[METADATA, metadata]];
  const offsets = new Map<string, number>();
  let at = 0;
  for (const [name, { storedDType, shape, byteLength }] of tensors) {
    entries.push([name, { dtype: storedDType, shape, data_offsets: [at, at + byteLength] }]);
    offsets.set(name, at);
    at += byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const length = totalBytes === undefined ? Math.ceil(json.length / 8) * 8 : totalBytes - LENGTH_BYTES;
  assert(length >= json.length, `a header of ${json.length} bytes in a place of ${length}`);
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return { bytes, starts: new Map([...offsets].map(([name, offset]) => [name, bytes.length + offset])) };
}

/** Bytes that a tensor of this dtype and shape takes in a file. */
export function storedBytes(dtype: DType, shape: Shape): number {
  return shape.reduce((bytes, size) => bytes * size, BYTES_PER_ELEMENT[dtype]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** For messages: values nested no deeper than MAX_DEPTH, cut. */
function shortText(value: unknown): string {
  const text = JSON.stringify(value) ?? "none";
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function refuse(label: string, what: string): never {
  throw new WeightsError("safetensors", `${label} ${what}`);
}
