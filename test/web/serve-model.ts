/** `nvila serve` as a user runs it, with a small model of random weights behind it. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";

const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const START_MS = 60_000;

export interface ServedModel {
  /** Address of the page, with a slash at its end. */
  readonly url: string;
  /** Ends the process the hard way and resolves when it has gone. */
  stop(): Promise<void>;
}

/** Starts the built command line on a free port. @throws Error when nothing was built, or it does not come up. */
export async function serveModel(preset: "nvila-tiny-random-s2" | "nvila-tiny-random-video"): Promise<ServedModel> {
  const cli = join(DIST, "cli/main.js");
  for (const file of [cli, join(DIST, "web/index.html")]) {
    if (!existsSync(file)) throw new Error(`${file} is not there. You can run "npm run build".`);
  }
  const folder = mkdtempSync(join(tmpdir(), "nvila-served-"));
  const model = join(folder, preset);
  await writeRandomCheckpoint(preset, model, { dtype: "f32", seed: 1 });
  const child = spawn(process.execPath, [cli, "serve", "-m", model, "--port", "0", "--log-level", "error"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  let log = "";
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (part: string) => {
        log += part;
        const found = /answers at (http\S+)/.exec(log)?.[1];
        if (found) resolve(found);
      });
      void ended.then(() => reject(new Error(`nvila serve ended: ${log}`)));
      setTimeout(() => reject(new Error(`nvila serve is not up after ${START_MS} ms: ${log}`)), START_MS).unref();
    });
    return { url: new URL("/", url).href, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
