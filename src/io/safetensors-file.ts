/**
 * Safetensors files as sources of tensors: one file, or shards behind an index. Mapped into memory where the native addon is built, so
 * that a model of any size opens at once; otherwise each tensor is read when it is asked for. Never reads a whole file.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { mapFile } from "../backend/cpu/file-map.ts";
import {
  LENGTH_BYTES,
  parseSafetensorsHeader,
  readHeaderLength,
  type SafetensorsHeader,
  STORED_DTYPE,
  type StoredTensor,
} from "../checkpoint/safetensors-header.ts";
import type { StoredInfo, StoredTensors } from "../checkpoint/stored-tensors.ts";
import type { TensorInfo } from "../checkpoint/weights.ts";
import { arrayView, BYTES_PER_ELEMENT, type HostArray } from "../core/dtype.ts";
import { messageOf, NvilaError, UnsupportedError, WeightsError } from "../util/errors.ts";
import { readJsonFile } from "./json-file.ts";

/** Largest piece that one system call reads. */
const MAX_READ_BYTES = 2 ** 30;
const INDEX_SUFFIX = ".index.json";

/** Gives bytes [offset, offset + byteLength) of a file as a buffer of its own. */
type ReadRange = (offset: number, byteLength: number) => ArrayBuffer;

export interface OpenOptions {
  /** False: read even where the file could be mapped. Default true. */
  readonly isMapped?: boolean;
}

/**
 * One safetensors file. Tensors may lie at odd addresses; the arrays given out are ordinary typed arrays all the same.
 *
 * @throws WeightsError when there is no such file, or it is damaged.
 */
export function openSafetensors(path: string, options: OpenOptions = {}): SafetensorsTensors {
  const sizeBytes = fileSize(path);
  const readRange = (options.isMapped !== false && mapped(path, sizeBytes)) || reader(path);
  const start = new Uint8Array(readRange(0, Math.min(LENGTH_BYTES, sizeBytes)));
  const headerLength = readHeaderLength(start, sizeBytes, path);
  const header = parseSafetensorsHeader(new Uint8Array(readRange(LENGTH_BYTES, headerLength)), sizeBytes, path);
  return new SafetensorsFile(path, sizeBytes, header, readRange);
}

/** The tensors of one file, with their places in it. */
export interface SafetensorsTensors extends StoredTensors {
  /** Texts that the writer left in the header. */
  readonly metadata: Readonly<Record<string, string>>;
  stored(name: string): StoredTensor | null;
}

class SafetensorsFile implements SafetensorsTensors {
  readonly label: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  readonly names: readonly string[];
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #readRange: ReadRange;

  constructor(path: string, sizeBytes: number, header: SafetensorsHeader, readRange: ReadRange) {
    this.label = path;
    this.sizeBytes = sizeBytes;
    this.names = [...header.tensors.keys()];
    this.metadata = header.metadata;
    this.#tensors = header.tensors;
    this.#readRange = readRange;
  }

  stored(name: string): StoredTensor | null {
    return this.#tensors.get(name) ?? null;
  }

  /** @throws UnsupportedError when the dtype is not one that tensors here can hold. */
  info(name: string): TensorInfo | null {
    const tensor = this.#tensors.get(name);
    if (!tensor) return null;
    return { dtype: this.#dtypeOf(name, tensor), shape: tensor.shape };
  }

  data(name: string): HostArray {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new WeightsError("safetensors", `"${name}" is missing in ${this.label}`);
    const dtype = this.#dtypeOf(name, tensor);
    const buffer = this.#readRange(tensor.byteOffset, tensor.byteLength);
    return arrayView(dtype, buffer, 0, tensor.byteLength / BYTES_PER_ELEMENT[dtype]);
  }

  #dtypeOf(name: string, tensor: StoredTensor): TensorInfo["dtype"] {
    if (tensor.dtype !== null) return tensor.dtype;
    throw new UnsupportedError(
      "safetensors",
      `"${name}" in ${this.label} has dtype ${tensor.storedDType}, expected one of ${Object.values(STORED_DTYPE).join(", ")}`,
    );
  }
}

/**
 * Shards behind a `model.safetensors.index.json`: each tensor is in the shard that `weight_map` names.
 *
 * @throws ConfigError when the index is damaged; WeightsError when a shard is missing, damaged, or holds other tensors than the index says.
 */
export function openSharded(indexPath: string, options: OpenOptions = {}): ShardedTensors {
  const weightMap = readWeightMap(indexPath);
  const folder = dirname(indexPath);
  const shards = new Map<string, StoredTensors>();
  for (const name of new Set(weightMap.values())) shards.set(name, openSafetensors(join(folder, name), options));
  const sources = new Map<string, StoredTensors>();
  for (const [tensor, shardName] of weightMap) {
    const shard = shards.get(shardName);
    if (!shard?.stored(tensor)) {
      const other = [...shards].find(([, candidate]) => candidate.stored(tensor))?.[0];
      const place = other === undefined ? "in no shard" : `in ${other}`;
      throw new WeightsError(
        "safetensors",
        `expected "${tensor}" in ${shardName} as ${indexPath} says, it is ${place}`,
      );
    }
    sources.set(tensor, shard);
  }
  for (const [shardName, shard] of shards) {
    const extra = shard.names.find((name) => weightMap.get(name) !== shardName);
    if (extra !== undefined) {
      throw new WeightsError("safetensors", `${shard.label} holds "${extra}", which ${indexPath} does not place there`);
    }
  }
  return new ShardedTensors(indexPath, sources, [...shards.values()]);
}

/** The tensors of several files. */
export class ShardedTensors implements StoredTensors {
  readonly label: string;
  /** Names of the files, beside the index. */
  readonly files: readonly string[];
  readonly sizeBytes: number;
  readonly names: readonly string[];
  readonly #sources: ReadonlyMap<string, StoredTensors>;

  constructor(label: string, sources: ReadonlyMap<string, StoredTensors>, shards: readonly StoredTensors[]) {
    this.label = label;
    this.files = shards.map((shard) => basename(shard.label));
    this.sizeBytes = shards.reduce((bytes, shard) => bytes + shard.sizeBytes, 0);
    this.names = [...sources.keys()];
    this.#sources = sources;
  }

  stored(name: string): StoredInfo | null {
    return this.#sources.get(name)?.stored(name) ?? null;
  }

  info(name: string): TensorInfo | null {
    return this.#sources.get(name)?.info(name) ?? null;
  }

  data(name: string): HostArray {
    const source = this.#sources.get(name);
    if (!source) throw new WeightsError("safetensors", `"${name}" is missing in ${this.label}`);
    return source.data(name);
  }
}

function readWeightMap(indexPath: string): ReadonlyMap<string, string> {
  const index = readJsonFile(indexPath);
  const value =
    typeof index === "object" && index !== null ? (index as { weight_map?: unknown }).weight_map : undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new WeightsError("safetensors", `expected an object weight_map in ${indexPath}`);
  }
  const map = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(value)) {
    // A name with a folder could lead out of the checkpoint.
    if (typeof shard !== "string" || shard !== basename(shard) || !/^[^\\/:\0]+\.safetensors$/.test(shard)) {
      const shown = typeof shard === "string" ? JSON.stringify(shard.slice(0, 200)) : `a ${typeof shard}`;
      throw new WeightsError(
        "safetensors",
        `expected the name of a .safetensors file beside ${basename(indexPath)} for "${tensor}", got ${shown}`,
      );
    }
    map.set(tensor, shard);
  }
  return map;
}

/** `x.safetensors` or, by its ending, `x.safetensors.index.json`. */
export function openTensorFile(path: string, options: OpenOptions = {}): StoredTensors {
  return path.endsWith(INDEX_SUFFIX) ? openSharded(path, options) : openSafetensors(path, options);
}

function fileSize(path: string): number {
  // Asked before opening: opening a pipe would wait for its other end.
  const stats = guarded(path, () => statSync(path));
  if (!stats.isFile()) throw new WeightsError("safetensors", `expected a file at ${path}, got a folder or device`);
  return stats.size;
}

function mapped(path: string, sizeBytes: number): ReadRange | null {
  let map: ReturnType<typeof mapFile>;
  try {
    map = mapFile(path);
  } catch (error) {
    throw new WeightsError("safetensors", messageOf(error), { cause: error });
  }
  if (!map) return null;
  if (map.byteLength !== sizeBytes) throw changed(path, sizeBytes, map.byteLength);
  return (offset, byteLength) => map.view(offset, byteLength);
}

/** Opens the file for every range: nothing is held open by tensors that nobody frees. */
function reader(path: string): ReadRange {
  return (offset, byteLength) =>
    withFile(path, (file) => {
      const buffer = allocate(path, byteLength);
      const bytes = new Uint8Array(buffer);
      for (let done = 0; done < byteLength; ) {
        const length = Math.min(MAX_READ_BYTES, byteLength - done);
        const count = readSync(file, bytes, done, length, offset + done);
        if (count === 0) throw changed(path, offset + byteLength, offset + done);
        done += count;
      }
      return buffer;
    });
}

function allocate(path: string, byteLength: number): ArrayBuffer {
  try {
    return new ArrayBuffer(byteLength);
  } catch (error) {
    throw new WeightsError("safetensors", `no memory for a tensor of ${byteLength} bytes of ${path}`, { cause: error });
  }
}

function withFile<T>(path: string, use: (file: number) => T): T {
  return guarded(path, () => {
    const file = openSync(path, "r");
    try {
      return use(file);
    } finally {
      closeSync(file);
    }
  });
}

function guarded<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    throw new WeightsError("safetensors", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function changed(path: string, expected: number, got: number): WeightsError {
  return new WeightsError("safetensors", `${path} changed while it was open: expected ${expected} bytes, got ${got}`);
}
