/**
 * A `.pt` file as `torch.save` writes it: a ZIP archive with one pickle (`<name>/data.pkl`) and one entry per storage
 * (`<name>/data/<key>`). Tensors are read one by one when they are asked for. Knows no files; the bytes come through a reader.
 * The legacy format from before PyTorch 1.6 is not read.
 */
import { STORED_DTYPE } from "../checkpoint/safetensors-header.ts";
import type { StoredInfo, StoredTensors } from "../checkpoint/stored-tensors.ts";
import type { TensorInfo } from "../checkpoint/weights.ts";
import { arrayView, BYTES_PER_ELEMENT, type HostArray } from "../core/dtype.ts";
import { elementCount } from "../core/shape.ts";
import { UnsupportedError, WeightsError } from "../util/errors.ts";
import { readPickle } from "./pickle.ts";
import { PickledTensor, type PickleValue } from "./pickle-values.ts";
import { type RangeReader, readZipDirectory, type ZipEntry } from "./zip.ts";

const PICKLE = /^([^/]*)\/data\.pkl$/;

/** The contents of an archive: its pickle's value, and the elements of tensors in it. */
export class TorchArchive {
  readonly label: string;
  readonly value: PickleValue;
  /** Bytes of the file. */
  readonly sizeBytes: number;
  readonly #reader: RangeReader;
  readonly #entries: ReadonlyMap<string, ZipEntry>;
  readonly #prefix: string;

  /** @throws WeightsError when the archive or its pickle is damaged or not harmless. */
  constructor(reader: RangeReader, label: string) {
    this.label = label;
    this.sizeBytes = reader.byteLength;
    this.#reader = reader;
    this.#entries = readZipDirectory(reader, label);
    const pickles = [...this.#entries.keys()].filter((name) => PICKLE.test(name));
    if (pickles.length !== 1) {
      throw new WeightsError("torch", `${label} holds ${pickles.length} entries data.pkl, expected one`);
    }
    this.#prefix = pickles[0].slice(0, -"data.pkl".length);
    const order = this.#entries.get(`${this.#prefix}byteorder`);
    if (order && new TextDecoder().decode(this.#bytes(order.byteOffset, Math.min(order.byteLength, 16))) !== "little") {
      throw new UnsupportedError("torch", `${label} was written on a big-endian machine, which is not read`);
    }
    const pickle = this.#entries.get(pickles[0]);
    this.value = pickle ? readPickle(this.#bytes(pickle.byteOffset, pickle.byteLength), label) : null;
  }

  /**
   * The elements of a tensor, row-major. Without a copy where the reader maps and the tensor is contiguous.
   * @throws WeightsError when its storage is missing or shorter than the tensor.
   */
  data(tensor: PickledTensor): HostArray {
    const { storage, offset, shape, strides } = tensor;
    const entry = this.#entries.get(`${this.#prefix}data/${storage.key}`);
    const bytesEach = BYTES_PER_ELEMENT[storage.dtype];
    if (!entry || entry.byteLength < storage.length * bytesEach) {
      const got = entry ? `${entry.byteLength} bytes` : "none";
      throw new WeightsError(
        "torch",
        `${this.label}: storage ${JSON.stringify(storage.key.slice(0, 80))} should have ${storage.length * bytesEach} bytes, got ${got}`,
      );
    }
    const count = elementCount(shape);
    if (isContiguous(shape, strides)) {
      const buffer = this.#reader.range(entry.byteOffset + offset * bytesEach, count * bytesEach);
      return arrayView(storage.dtype, buffer, 0, count);
    }
    const buffer = this.#reader.range(entry.byteOffset, storage.length * bytesEach);
    if (storage.dtype === "i64") {
      throw new UnsupportedError("torch", `${this.label} holds a strided tensor of 64-bit integers`);
    }
    return gather(arrayView(storage.dtype, buffer, 0, storage.length), tensor, count);
  }

  #bytes(offset: number, byteLength: number): Uint8Array {
    return new Uint8Array(this.#reader.range(offset, byteLength), 0, byteLength);
  }
}

/** A flat dictionary of tensors (`state_dict`) as a source. */
export class StateDict implements StoredTensors {
  readonly label: string;
  readonly sizeBytes: number;
  readonly names: readonly string[];
  readonly #archive: TorchArchive;
  readonly #tensors = new Map<string, PickledTensor>();

  /** @throws WeightsError when the archive holds anything else. */
  constructor(archive: TorchArchive) {
    const { value, label } = archive;
    if (!(value instanceof Map)) throw new WeightsError("torch", `${label} holds no dictionary of tensors`);
    for (const [name, tensor] of value as ReadonlyMap<string | number, PickleValue>) {
      if (typeof name !== "string" || !(tensor instanceof PickledTensor)) {
        throw new WeightsError(
          "torch",
          `${label} holds ${JSON.stringify(String(name).slice(0, 80))}, which is no tensor`,
        );
      }
      this.#tensors.set(name, tensor);
    }
    this.label = label;
    this.sizeBytes = archive.sizeBytes;
    this.names = [...this.#tensors.keys()];
    this.#archive = archive;
  }

  stored(name: string): StoredInfo | null {
    const tensor = this.#tensors.get(name);
    if (!tensor) return null;
    const { dtype } = tensor.storage;
    const byteLength = elementCount(tensor.shape) * BYTES_PER_ELEMENT[dtype];
    return { storedDType: STORED_DTYPE[dtype], shape: tensor.shape, byteLength };
  }

  info(name: string): TensorInfo | null {
    const tensor = this.#tensors.get(name);
    return tensor ? { dtype: tensor.storage.dtype, shape: tensor.shape } : null;
  }

  data(name: string): HostArray {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new WeightsError("torch", `"${name}" is missing in ${this.label}`);
    return this.#archive.data(tensor);
  }
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] > 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** Copies the elements of a strided view in row-major order. */
function gather(storage: HostArray, { offset, shape, strides }: PickledTensor, count: number): HostArray {
  const out = storage.slice(0, count);
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    out[i] = storage[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}
