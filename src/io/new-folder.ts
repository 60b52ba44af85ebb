/**
 * Writing a folder or a file so that what stands at its place is always whole: everything goes beside it, and is renamed at the end.
 * Knows nothing of what is written.
 */
import { existsSync } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, readdir, rename, rm, rmdir, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { messageOf, NvilaError, RequestError } from "../util/errors.ts";

/** For configuration, tokenizer and headers, when space on the disk is checked. */
const EXTRA_BYTES = 16e6;

/**
 * @param where For messages.
 * @param dir Must not exist, or be an empty folder.
 * @param write Fills the folder that it gets.
 * @throws RequestError when the target is not free, the disk is full or cannot be written; the signal's reason when it is aborted.
 * Nothing is left behind then.
 */
export async function writeNewFolder<T>(
  where: string,
  dir: string,
  signal: AbortSignal | undefined,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const target = resolve(dir);
  try {
    await expectFree(where, target);
    await mkdir(dirname(target), { recursive: true });
    const partial = await mkdtemp(join(dirname(target), `.${basename(target)}.partial-`));
    try {
      const result = await write(partial);
      signal?.throwIfAborted();
      await expectFree(where, target);
      if (existsSync(target)) await rmdir(target);
      await rename(partial, target);
      return result;
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  } catch (error) {
    if (error instanceof NvilaError || signal?.aborted) throw error;
    throw new RequestError(where, `cannot write ${target}: ${messageOf(error)}`, { cause: error });
  }
}

async function expectFree(where: string, target: string): Promise<void> {
  if (!existsSync(target)) return;
  let entries: string[];
  try {
    entries = await readdir(target);
  } catch (error) {
    throw new RequestError(where, `expected a folder that does not exist or is empty, got ${target}`, { cause: error });
  }
  if (entries.length > 0) {
    throw new RequestError(
      where,
      `expected a folder that does not exist or is empty, got ${target} with ${entries.length} entries`,
    );
  }
}

/** @throws RequestError when less than `bytes` and some for small files are free where `folder` lies. */
export async function expectSpace(where: string, folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free < bytes + EXTRA_BYTES) {
    throw new RequestError(where, `expected ${bytes + EXTRA_BYTES} bytes free for ${dirname(folder)}, got ${free}`);
  }
}

/** Writes a text file over the one that may be there: a reader never sees half of it. */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.partial`, text);
  await rename(`${path}.partial`, path);
}

/** Writes all of `bytes`; at the file's current place, or at `position`. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(bytes, done, bytes.length - done, at)).bytesWritten;
  }
}
