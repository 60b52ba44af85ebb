/**
 * `.pt` files of `torch.save`, mapped into memory where the native addon is built, else read piece by piece. The pickle inside is
 * interpreted by quant/pickle.ts, which runs no code.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { mapFile } from "../backend/cpu/file-map.ts";
import type { StoredTensors } from "../checkpoint/stored-tensors.ts";
import { StateDict, TorchArchive } from "../quant/torch-archive.ts";
import { isZip, type RangeReader } from "../quant/zip.ts";
import { messageOf, NvilaError, UnsupportedError, WeightsError } from "../util/errors.ts";

/** Largest piece that one system call reads. */
const MAX_READ_BYTES = 2 ** 30;

/**
 * A `state_dict` as a source of tensors.
 * @throws WeightsError when the file is damaged, holds anything but tensors, or asks to run code; UnsupportedError for older formats.
 */
export function openStateDict(path: string): StoredTensors {
  return new StateDict(openTorchArchive(path));
}

/** The pickle's value and its tensors. @throws as `openStateDict`. */
export function openTorchArchive(path: string): TorchArchive {
  const reader = guarded(path, () => openReader(path));
  if (!isZip(new Uint8Array(reader.range(0, Math.min(4, reader.byteLength))))) {
    throw new UnsupportedError(
      "torch",
      `${path} is no ZIP archive, as torch.save writes since PyTorch 1.6; older pickles are not read. You can save it again with a newer PyTorch`,
    );
  }
  return guarded(path, () => new TorchArchive(reader, path));
}

function openReader(path: string): RangeReader {
  const stats = statSync(path); // before opening: a pipe would wait for its other end
  if (!stats.isFile()) throw new WeightsError("torch", `expected a file at ${path}, got a folder or device`);
  const map = mapFile(path);
  if (map) return { byteLength: map.byteLength, range: (offset, byteLength) => map.view(offset, byteLength) };
  return { byteLength: stats.size, range: (offset, byteLength) => guarded(path, () => read(path, offset, byteLength)) };
}

/** Opens the file for every range: nothing is held open by tensors that nobody frees. */
function read(path: string, offset: number, byteLength: number): ArrayBuffer {
  const buffer = new ArrayBuffer(byteLength);
  const file = openSync(path, "r");
  try {
    for (let done = 0; done < byteLength; ) {
      const length = Math.min(MAX_READ_BYTES, byteLength - done);
      const count = readSync(file, new Uint8Array(buffer, done), 0, length, offset + done);
      if (count === 0) throw new WeightsError("torch", `${path} ended while it was read`);
      done += count;
    }
    return buffer;
  } finally {
    closeSync(file);
  }
}

function guarded<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    throw new WeightsError("torch", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
