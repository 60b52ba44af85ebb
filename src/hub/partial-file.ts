/**
 * `blobs/<tag>.incomplete`: a file on its way. What an earlier run left is read through the hash first, then new bytes go
 * to the end, and the finished file is moved to its place only when size and hash are right. Writes go to fixed offsets,
 * so that two writers of the same content (a lock can be lost) do no harm. Knows no network.
 */
import type { Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { onDisk } from "./disk-error.ts";
import { TransientError } from "./hub-http.ts";
import { contentHash, contentTag, type RepoFile } from "./repo-file.ts";

/** What a kill may cost, and enough for whole writes. */
const BLOCK_BYTES = 256 << 10;

/** The content is not what the hub promised. Never leaves this room. */
export class BadContentError extends Error {
  override readonly name = "BadContentError";
}

export class PartialFile {
  readonly path: string;
  readonly file: RepoFile;
  readonly #handle: FileHandle;
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  /** Bytes in `#block` that are not written yet. */
  #pending = 0;
  #hash: Hash;
  #length = 0;
  #hasEarlierBytes = false;
  #isFinished = false;

  private constructor(path: string, file: RepoFile, handle: FileHandle) {
    this.path = path;
    this.file = file;
    this.#handle = handle;
    this.#hash = contentHash(file);
  }

  /** Opens or creates it. Bytes of an earlier run are hashed; a file that is too long is emptied. */
  static async open(path: string, file: RepoFile, signal: AbortSignal | undefined): Promise<PartialFile> {
    return onDisk(path, async () => {
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o666);
      try {
        const partial = new PartialFile(path, file, handle);
        const { size } = await handle.stat();
        if (size > file.sizeBytes) await handle.truncate(0);
        else await partial.#readEarlier(size, signal);
        return partial;
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  /** Good bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** True while some bytes come from an earlier run, perhaps of another program. */
  get hasEarlierBytes(): boolean {
    return this.#hasEarlierBytes;
  }

  /** @throws BadContentError when the file would become too long; RequestError when the disk fails. */
  async append(chunk: Uint8Array): Promise<void> {
    if (this.#length + chunk.length > this.file.sizeBytes) {
      throw new BadContentError(`more than ${this.file.sizeBytes} bytes`);
    }
    this.#hash.update(chunk);
    for (let from = 0; from < chunk.length; ) {
      const count = Math.min(chunk.length - from, BLOCK_BYTES - this.#pending);
      this.#block.set(chunk.subarray(from, from + count), this.#pending);
      this.#pending += count;
      this.#length += count;
      from += count;
      if (this.#pending === BLOCK_BYTES) await this.flush();
    }
  }

  /** Writes what is held in memory. */
  async flush(): Promise<void> {
    const start = this.#length - this.#pending;
    const end = this.#pending;
    this.#pending = 0; // also when the disk fails: `close` must not fail again
    await onDisk(this.path, async () => {
      for (let from = 0; from < end; ) {
        const { bytesWritten } = await this.#handle.write(this.#block, from, end - from, start + from);
        if (bytesWritten === 0) throw new Error("the disk took no bytes"); // would go round for ever
        from += bytesWritten;
      }
    });
  }

  /** Back to nothing. */
  async restart(): Promise<void> {
    this.#pending = 0;
    this.#length = 0;
    this.#hasEarlierBytes = false;
    this.#hash = contentHash(this.file);
    await onDisk(this.path, () => this.#handle.truncate(0));
  }

  /** @throws BadContentError when the hash of what was appended is wrong: `restart` and try again. */
  checkContent(): void {
    const tag = this.#hash.copy().digest("hex");
    if (tag !== contentTag(this.file)) {
      throw new BadContentError(`the ${tag.length === 64 ? "sha256" : "git hash"} ${tag}`);
    }
  }

  /**
   * Moves the finished file to its place.
   *
   * @throws TransientError when another program changed it meanwhile: open it anew.
   */
  async moveTo(blobPath: string): Promise<void> {
    await this.flush();
    await onDisk(this.path, async () => {
      const own = await this.#handle.stat();
      const there = await stat(this.path).catch(() => null);
      if (there?.ino !== own.ino || own.size !== this.file.sizeBytes) {
        throw new TransientError("another program changed the unfinished file");
      }
      await this.#handle.datasync();
      await this.#handle.close();
      await rename(this.path, blobPath);
      this.#isFinished = true;
    });
  }

  /** Keeps what is there for a later run; an empty file goes. Safe after `moveTo` and after errors. */
  async close(): Promise<void> {
    if (this.#isFinished) return;
    try {
      await this.flush();
    } finally {
      await this.#handle.close();
      if (this.#length === 0) await unlink(this.path).catch(() => {});
    }
  }

  async #readEarlier(size: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#length < size) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(this.#block, 0, BLOCK_BYTES, this.#length);
      if (bytesRead === 0) break;
      this.#hash.update(this.#block.subarray(0, bytesRead));
      this.#length += bytesRead;
    }
    this.#hasEarlierBytes = this.#length > 0;
  }
}
