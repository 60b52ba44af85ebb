/**
 * Packed copies: the quantised matrices of a model in the layout of one backend's kernels, in one safetensors file beside its
 * config.json, so that loading is a memory map and nothing is packed. A copy belongs to the weight files that it was made of: it carries
 * their fingerprint, and one that does not match is not used. Knows no layout; the bytes are the backend's, which checks them.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Backend, PackedFiles } from "../backend/backend.ts";
import { registerCpuBackend } from "../backend/cpu/register.ts";
import { createBackend } from "../backend/registry.ts";
import { formatSafetensorsHeader, type TensorToWrite } from "../checkpoint/safetensors-header.ts";
import type { TensorInfo, TensorSource } from "../checkpoint/weights.ts";
import type { HostArray } from "../core/dtype.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import { messageOf, NvilaError, RequestError } from "../util/errors.ts";
import { type CheckpointFiles, openCheckpoint, type Part } from "./checkpoint-files.ts";
import { weightFilesOf } from "./checkpoint-listing.ts";
import { expectSpace, writeAll } from "./new-folder.ts";
import { openSafetensors, type SafetensorsTensors } from "./safetensors-file.ts";

const PARTS: readonly Part[] = ["llm", "vision", "projector"];
/** Pieces of a weight file that its fingerprint reads, besides its beginning. */
const SAMPLES = 64;
const SAMPLE_BYTES = 1024;
const START_BYTES = 64 * 1024;
/** More than a header's entry takes besides the name. */
const ENTRY_BYTES = 120;
/** Packed weights lie at multiples of this, as kernels like it. */
const ALIGNMENT = 64;

/** Path of the copy of a model. */
export function packedCopyPath(root: string, layout: string): string {
  return join(root, `packed.${layout}.safetensors`);
}

/**
 * The tensors of each part with the packed copy behind them, where there is a right one. A copy that is damaged or of other weights is
 * passed over with a warning: the weights themselves are there.
 */
export function withPackedCopy(
  files: CheckpointFiles,
  backend: Backend,
  onWarning: (message: string) => void,
): Readonly<Record<Part, TensorSource>> {
  const path = backend.packedFiles && packedCopyPath(files.path, backend.packedFiles.layout);
  if (!path || !existsSync(path)) return files.weights;
  try {
    const copy = openSafetensors(path);
    if (copy.metadata.fingerprint === fingerprintOf(files)) {
      const part = (name: Part): TensorSource => new WithPackedCopy(files.weights[name], copy, `${name}.`);
      return { llm: part("llm"), vision: part("vision"), projector: part("projector") };
    }
    onWarning(`${path} is a packed copy of other weights and is not used. You can make a new one with \`nvila pack\``);
  } catch (error) {
    onWarning(`${path} is not used: ${messageOf(error)}. You can make a new one with \`nvila pack\``);
  }
  return files.weights;
}

class WithPackedCopy implements TensorSource {
  readonly label: string;
  readonly names: readonly string[];
  readonly #source: TensorSource;
  readonly #copy: SafetensorsTensors;
  readonly #prefix: string;

  constructor(source: TensorSource, copy: SafetensorsTensors, prefix: string) {
    this.label = source.label;
    this.names = source.names;
    this.#source = source;
    this.#copy = copy;
    this.#prefix = prefix;
  }

  info(name: string): TensorInfo | null {
    return this.#source.info(name);
  }

  data(name: string): HostArray {
    return this.#source.data(name);
  }

  quantized(name: string): QuantizedWeight | null {
    return this.#source.quantized?.(name) ?? null;
  }

  packed(name: string): Uint8Array | null {
    const key = this.#prefix + name;
    return this.#copy.info(key)?.dtype === "u8" ? (this.#copy.data(key) as Uint8Array) : null;
  }
}

/**
 * A text that changes when the weight files of a model do: a hash of their names, sizes, headers and some of their bytes. Reads about
 * 130 KB per file.
 */
function fingerprintOf(files: CheckpointFiles): string {
  const hash = createHash("sha256");
  for (const folder of new Set(PARTS.map((part) => files.folders[part]))) {
    for (const name of weightFilesOf(folder).files) {
      const file = openSync(join(folder, name), "r");
      try {
        const { size } = fstatSync(file);
        hash.update(`${relative(files.path, folder)}/${name}\0${size}\0`);
        const step = Math.max(SAMPLE_BYTES, Math.floor(size / SAMPLES));
        for (let at = 0; at < size; at += step) {
          const buffer = Buffer.alloc(Math.min(at === 0 ? START_BYTES : SAMPLE_BYTES, size - at));
          hash.update(buffer.subarray(0, readSync(file, buffer, 0, buffer.length, at)));
        }
      } finally {
        closeSync(file);
      }
    }
  }
  return hash.digest("hex");
}

export interface PackOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { matricesDone: number; matricesTotal: number }) => void;
}

/**
 * Writes the packed copy of a model, in place of an older one.
 *
 * @throws RequestError when the backend keeps no packed weights, nothing is quantised, or the folder cannot be written; WeightsError
 * when a matrix is damaged; the signal's reason when aborted. An older copy stays then.
 */
export async function writePackedCopy(
  files: CheckpointFiles,
  backend: Backend,
  options: PackOptions = {},
): Promise<{ path: string; matrices: number; sizeBytes: number }> {
  const { packedFiles } = backend;
  if (!packedFiles) throw new RequestError("pack", `the ${backend.name} device has no packed form to keep`);
  const names = PARTS.flatMap((part) =>
    files.weights[part].names
      .filter((name) => files.weights[part].stored(name)?.storedDType.startsWith("INT"))
      .map((name) => ({ part, name })),
  );
  if (names.length === 0) {
    throw new RequestError(
      "pack",
      `nothing in ${files.label} is quantised. You can quantise it with \`nvila quantize\``,
    );
  }
  const path = packedCopyPath(files.path, packedFiles.layout);
  const partial = `${path}.partial-${process.pid}`;
  try {
    await expectSpace("pack", files.path, Math.ceil(1.1 * files.sizeBytes));
    const written = await writeFile(partial, files, names, backend, packedFiles, options);
    await rename(partial, path);
    return { path, ...written };
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof NvilaError || options.signal?.aborted) throw error;
    throw new RequestError("pack", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Sizes are known only when a matrix is packed, so the header's place is kept free and filled in last. */
async function writeFile(
  path: string,
  files: CheckpointFiles,
  names: readonly { readonly part: Part; readonly name: string }[],
  backend: Backend,
  packedFiles: PackedFiles,
  { signal, onProgress }: PackOptions,
): Promise<{ matrices: number; sizeBytes: number }> {
  const reserve = names.reduce((bytes, { part, name }) => bytes + part.length + name.length + ENTRY_BYTES, 1024);
  const headerBytes = Math.ceil(reserve / ALIGNMENT) * ALIGNMENT;
  const tensors = new Map<string, TensorToWrite>();
  let position = headerBytes;
  const file = await open(path, "wx");
  try {
    for (const [i, { part, name }] of names.entries()) {
      signal?.throwIfAborted();
      const weight = files.weights[part].quantized?.(name);
      if (!weight) continue; // one without a canonical form
      const bytes = packedFiles.bytes(backend.pack(weight));
      await writeAll(file, bytes, position);
      tensors.set(`${part}.${name}`, { storedDType: "U8", shape: [bytes.length], byteLength: bytes.length });
      position += bytes.length;
      onProgress?.({ matricesDone: i + 1, matricesTotal: names.length });
    }
    const metadata = { format: "nvila-packed", layout: packedFiles.layout, fingerprint: fingerprintOf(files) };
    await writeAll(file, formatSafetensorsHeader(tensors, metadata, headerBytes).bytes, 0);
    return { matrices: tensors.size, sizeBytes: position };
  } finally {
    await file.close();
  }
}

/**
 * Writes the packed copy of the checkpoint at `path` for the native addon's kernels.
 *
 * @throws DeviceError when the addon was not built; otherwise as `writePackedCopy` and `openCheckpoint` do.
 */
export async function packCheckpoint(
  path: string,
  options: PackOptions & { readonly onWarning?: (message: string) => void } = {},
): Promise<{ path: string; matrices: number; sizeBytes: number }> {
  registerCpuBackend();
  const backend = createBackend("cpu", {}, () => {});
  return writePackedCopy(await openCheckpoint(path, options), backend, options);
}
