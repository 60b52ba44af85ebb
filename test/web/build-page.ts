/** Builds the page into a folder of the test's own, so that no test meets an old build. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const CONFIG = fileURLToPath(new URL("../../web/vite.config.ts", import.meta.url));

/** The folder of the built page; the caller removes it. */
export async function buildPage(): Promise<string> {
  const outDir = mkdtempSync(join(tmpdir(), "nvila-page-"));
  await build({ configFile: CONFIG, logLevel: "error", build: { outDir } });
  return outDir;
}
