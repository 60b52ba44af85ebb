/** Small models with random weights in a temporary folder, written once per test file. They answer nonsense, always the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { type LoadOptions, openModel } from "../../src/api/load-model.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import type { RawPixels } from "../../src/api/parts.ts";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { Random } from "../../src/util/random.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-api-"));
const written = new Map<string, Promise<string>>();

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder for whatever a test writes. */
export function temporaryFolder(): string {
  return mkdtempSync(join(folder, "files-"));
}

/** Path of the checkpoint "lite", "s2" or "video". */
export function tinyCheckpoint(kind: "lite" | "s2" | "video"): Promise<string> {
  const known = written.get(kind);
  if (known) return known;
  const path = join(folder, `nvila-tiny-random-${kind}`);
  const writing = writeRandomCheckpoint(`nvila-tiny-random-${kind}`, path, { dtype: "f32", seed: 1 }).then(() => path);
  written.set(kind, writing);
  return writing;
}

/** The model on the fastest backend that runs here. Warnings go into `warnings`, but for the one that there is no addon. */
export async function openTiny(
  kind: "lite" | "s2" | "video",
  options: LoadOptions = {},
): Promise<LocalModel & { warnings: string[] }> {
  const warnings: string[] = [];
  const onWarning = (message: string): void => {
    if (!message.includes("native addon")) warnings.push(message);
  };
  const loaded = await openModel(await tinyCheckpoint(kind), { onWarning, ...options });
  return { ...loaded, warnings };
}

/** A picture of coloured noise. */
export function noise(width: number, height: number, seed: number): RawPixels {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.nextUint32() & 255);
  return { width, height, channels: 3, data };
}
