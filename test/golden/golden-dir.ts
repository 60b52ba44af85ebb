/** Finds the golden files made by the original PyTorch code. They lie beside the project; without them these tests skip. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";

const ROOT = resolve(fileURLToPath(new URL("../../", import.meta.url)));

/** The folder of golden files: `NVILA_GOLDEN_DIR`, else `../shared/golden` beside the project, else null. */
export function goldenDir(): string | null {
  const candidates = [process.env.NVILA_GOLDEN_DIR, join(ROOT, "../shared/golden")];
  return (
    candidates.find((path): path is string => path !== undefined && existsSync(join(path, "MANIFEST.json"))) ?? null
  );
}

/** `describe` that needs the golden files: `body` gets their folder. Skips with a printed reason when they are absent. */
export function describeGolden(name: string, body: (dir: string) => void): void {
  const dir = goldenDir();
  if (dir) describe(name, () => body(dir));
  else {
    console.warn(`skipped "${name}": no golden files (expected ../shared/golden or NVILA_GOLDEN_DIR)`);
    describe.skip(name, () => {
      it("needs the golden files", () => {});
    });
  }
}

export function readGoldenJson<T>(dir: string, path: string): T {
  return JSON.parse(readFileSync(join(dir, path), "utf8")) as T;
}
