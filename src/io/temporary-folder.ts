/**
 * A private folder for media that a decoder can only read from a path. Removed by its maker when done, and, should the
 * process end before that, on exit.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

const live = new Set<string>();
let watchesExit = false;

/** Readable by this user only. */
export async function makeTemporaryFolder(): Promise<TemporaryFolder> {
  if (!watchesExit) {
    watchesExit = true;
    process.once("exit", () => {
      for (const path of live) rmSync(path, { recursive: true, force: true });
    });
  }
  const path = await mkdtemp(join(tmpdir(), "nvila-media-"));
  live.add(path);
  return {
    path,
    async remove() {
      live.delete(path);
      await rm(path, { recursive: true, force: true });
    },
  };
}
