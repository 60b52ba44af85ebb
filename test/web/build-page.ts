/** Builds the page for tests, once for all of them: the folder's name is a hash of all that goes into it, so no test meets an old build. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CACHE = join(ROOT, "node_modules/.cache/nvila-page");

/** The folder of the built page. */
export async function buildPage(): Promise<string> {
  const folder = join(CACHE, hashOfSources());
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const outDir = mkdtempSync(join(CACHE, "building-"));
  await build({ configFile: join(ROOT, "web/vite.config.ts"), logLevel: "error", build: { outDir } });
  try {
    renameSync(outDir, folder);
  } catch {
    // Another test file has finished the same build first.
    rmSync(outDir, { recursive: true, force: true });
  }
  return folder;
}

function hashOfSources(): string {
  const hash = createHash("sha256");
  for (const folder of ["web", "src/client"]) {
    const files = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(file).update(readFileSync(file));
  }
  return hash
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex")
    .slice(0, 16);
}
