/**
 * A download in a process of its own, for tests that kill it, limit it or fill its disk. Takes one JSON argument, prints
 * one JSON line: the result, or the error's message.
 */
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pullModel } from "../../src/hub/pull-model.ts";
import { messageOf } from "../../src/util/errors.ts";
import { FAST, REPO_ID } from "./model-repo.ts";

export interface PullOrder {
  readonly endpoint: string;
  readonly cacheDir: string;
  /** After so many bytes fills the disk to the last byte; tries again with room once that has failed. */
  readonly fillDiskAt?: number;
  readonly revision?: string;
}

export interface PullReport {
  readonly error: string | null;
  readonly files: readonly string[];
  readonly warnings: readonly string[];
  /** Names below the model's folder when it ended. */
  readonly left: readonly string[];
  /** Of the second try after a full disk. */
  readonly secondError?: string | null;
  readonly secondReused?: number;
}

const order = JSON.parse(process.argv[2]) as PullOrder;
const { endpoint, cacheDir, fillDiskAt, revision } = order;
const filler = join(cacheDir, "filler");
const warnings: string[] = [];

async function attempt(
  fillAt = Number.POSITIVE_INFINITY,
): Promise<{ error: string | null; files: readonly string[]; reused: number }> {
  let filling: Promise<void> | null = null;
  let reused = 0;
  try {
    const { files } = await pullModel(REPO_ID, {
      endpoint,
      cacheDir,
      revision,
      token: null,
      timing: FAST,
      onWarning: (message) => warnings.push(message),
      onProgress: ({ bytesReceived, bytesReused }) => {
        reused = bytesReused;
        if (bytesReceived >= fillAt) filling ??= fill();
      },
    });
    return { error: null, files, reused };
  } catch (error) {
    return { error: messageOf(error), files: [], reused };
  } finally {
    await filling;
  }
}

async function fill(): Promise<void> {
  for (const chunk of [1 << 20, 4096, 1]) {
    while (
      await writeFile(filler, Buffer.alloc(chunk), { flag: "a" }).then(
        () => true,
        () => false,
      )
    );
  }
}

async function left(): Promise<string[]> {
  const root = join(cacheDir, `models--${REPO_ID.replace("/", "--")}`);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

const first = await attempt(fillDiskAt);
let report: PullReport = { error: first.error, files: first.files, warnings, left: await left() };
if (fillDiskAt !== undefined) {
  await rm(filler, { force: true });
  const second = await attempt();
  report = { ...report, secondError: second.error, secondReused: second.reused };
}
process.stdout.write(`${JSON.stringify(report)}\n`);
