/**
 * The folder of one model in the Hugging Face cache, shared with the Python tools (hub-docs, docs/hub/local-cache.md):
 * `blobs/<tag>` holds contents, `snapshots/<commit>/<path>` are relative links to them, `refs/<revision>` holds a commit,
 * `.locks/` beside the model's folder holds locks. Where symbolic links cannot be made, a snapshot holds the file itself
 * (a hard link or a copy). Since huggingface_hub 2.0 a blob may itself be a link into a store shared by all models; links
 * are therefore always followed when reading. Every change becomes visible at once or not at all. Knows no network.
 */
import { randomUUID } from "node:crypto";
import { copyFile, link, mkdir, readFile, rename, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { diskError, onDisk } from "./disk-error.ts";
import type { HubSettings } from "./hub-settings.ts";
import { contentTag, type RepoFile } from "./repo-file.ts";
import { isCommit } from "./repo-id.ts";

export class HubCache {
  /** `<cache>/models--org--name`. */
  readonly folder: string;
  readonly #locks: string;
  readonly #usesSymlinks: boolean;

  /** @param repoId must be checked (repo-id.ts), as must every path and revision given to the methods. */
  constructor(repoId: string, settings: Pick<HubSettings, "cacheDir" | "usesSymlinks">) {
    const name = `models--${repoId.replace("/", "--")}`;
    this.folder = join(settings.cacheDir, name);
    this.#locks = join(settings.cacheDir, ".locks", name);
    this.#usesSymlinks = settings.usesSymlinks;
  }

  blobPath(file: RepoFile): string {
    return join(this.folder, "blobs", contentTag(file));
  }

  partialPath(file: RepoFile): string {
    return `${this.blobPath(file)}.incomplete`;
  }

  lockPath(file: RepoFile): string {
    return join(this.#locks, `${contentTag(file)}.nvila.lock`);
  }

  snapshotDir(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  listingPath(commit: string): string {
    return join(this.folder, "trees", `${commit}.json`);
  }

  /** The commit that `revision` had when it was last downloaded. */
  async readRef(revision: string): Promise<string | null> {
    try {
      const text = (await readFile(join(this.folder, "refs", revision), "utf8")).trim();
      return isCommit(text) ? text : null;
    } catch {
      return null;
    }
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if ((await this.readRef(revision)) === commit) return;
    await this.writeWhole(join(this.folder, "refs", revision), commit);
  }

  /** True when the snapshot holds the file in its right size. */
  async hasFile(commit: string, file: RepoFile): Promise<boolean> {
    return (await sizeOf(join(this.snapshotDir(commit), file.path))) === file.sizeBytes;
  }

  async hasBlob(file: RepoFile): Promise<boolean> {
    return (await sizeOf(this.blobPath(file))) === file.sizeBytes;
  }

  /** Bytes of an interrupted download that can be used. */
  async partialBytes(file: RepoFile): Promise<number> {
    const size = (await sizeOf(this.partialPath(file))) ?? 0;
    return size <= file.sizeBytes ? size : 0;
  }

  async createBlobFolder(): Promise<void> {
    const folder = join(this.folder, "blobs");
    await onDisk(folder, () => mkdir(folder, { recursive: true }));
  }

  /** Puts a file whose blob is there into the snapshot. */
  async linkFile(commit: string, file: RepoFile): Promise<void> {
    const path = join(this.snapshotDir(commit), file.path);
    const blob = this.blobPath(file);
    await onDisk(path, () => mkdir(dirname(path), { recursive: true }));
    const ways: ((at: string) => Promise<void>)[] = [(at) => link(blob, at), (at) => copyFile(blob, at)];
    if (this.#usesSymlinks) ways.unshift((at) => symlink(relative(dirname(path), blob), at));
    for (const [index, way] of ways.entries()) {
      const beside = this.#besidePath(); // not in the snapshot: Python's tools take all that is there for its files
      try {
        await way(beside);
        await rename(beside, path);
        return;
      } catch (error) {
        if (index === ways.length - 1) throw diskError(error, path);
      } finally {
        await unlink(beside).catch(() => {}); // also left by a rename onto the same file
      }
    }
  }

  /** Writes a small file at once or not at all. */
  async writeWhole(path: string, text: string): Promise<void> {
    await onDisk(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const beside = this.#besidePath();
      try {
        await writeFile(beside, text, { flush: true });
        await rename(beside, path);
      } catch (error) {
        await unlink(beside).catch(() => {});
        throw error;
      }
    });
  }

  #besidePath(): string {
    return join(this.folder, `.${randomUUID()}.tmp`);
  }
}

/** Follows links. Null when there is no file. */
async function sizeOf(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : null;
  } catch {
    return null;
  }
}
