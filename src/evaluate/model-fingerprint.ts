/** What tells one checkpoint from another without reading its weights: names, sizes and times of its files. */
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** @param pathOrHubId A folder, whose links are followed; a hub id stands for itself, so a commit that comes later is not noticed. */
export function modelFingerprint(pathOrHubId: string): string {
  const hash = createHash("sha256");
  try {
    const files = readdirSync(pathOrHubId, { recursive: true, withFileTypes: true }).filter(
      (entry) => !entry.isDirectory(),
    );
    const lines = files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${relative(pathOrHubId, path)} ${size} ${Math.round(mtimeMs)}`;
    });
    hash.update(lines.sort().join("\n"));
  } catch {
    hash.update(pathOrHubId);
  }
  return hash.digest("base64url").slice(0, 16);
}
