/** Checks before a download that the disk has room for it. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { RequestError } from "../util/errors.ts";

/** Left free on top of the files: folders, links, the listing. */
const MARGIN_BYTES = 8 << 20;

/**
 * @param folder may not exist yet; then its nearest existing parent is asked.
 * @throws RequestError when fewer than `neededBytes` are free. A disk that tells no figures passes.
 */
export async function checkFreeSpace(folder: string, neededBytes: number): Promise<void> {
  if (neededBytes === 0) return;
  const free = await freeBytes(folder);
  if (free === null || free >= neededBytes + MARGIN_BYTES) return;
  throw new RequestError(
    "hub",
    `expected ${inUnits(neededBytes + MARGIN_BYTES)} of free space for ${folder}, got ${inUnits(free)}. You can free some, or set HF_HOME to another disk`,
  );
}

async function freeBytes(folder: string): Promise<number | null> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize, blocks } = await statfs(at);
      return blocks === 0 ? null : bavail * bsize; // some virtual disks report zeros
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || at === dirname(at)) return null;
    }
  }
}

function inUnits(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
