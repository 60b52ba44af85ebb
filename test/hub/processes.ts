/** Starts processes for the tests of downloads and collects what they say. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HUB_VARIABLES } from "./model-repo.ts";
import type { PullOrder, PullReport } from "./pull-process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PULL = fileURLToPath(new URL("./pull-process.ts", import.meta.url));

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** A command, with TypeScript for every node below it. */
export function start(command: string, args: readonly string[], env: Record<string, string> = {}): Running {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !HUB_VARIABLES.includes(name)));
  const child = spawn(command, args, { cwd: ROOT, env: { ...clean, NO_COLOR: "1", ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (data) => (stdout += data));
  child.stderr?.on("data", (data) => (stderr += data));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

/** A download in a process of its own, behind `wrapper` if there is one. */
export function startPull(order: PullOrder, wrapper: readonly string[] = []): Running {
  const [command, ...args] = [...wrapper, process.execPath, "--import", "tsx", PULL, JSON.stringify(order)];
  return start(command, args);
}

/** What a pull in its own process reported. @throws with all it wrote when it reported nothing. */
export async function reportOf({ ended }: Running): Promise<PullReport> {
  const { code, stdout, stderr } = await ended;
  try {
    return JSON.parse(stdout) as PullReport;
  } catch {
    throw new Error(`expected a report, got exit code ${code} and ${JSON.stringify(stdout + stderr)}`);
  }
}

/** Waits until `isTrue`. @throws after 90 s. */
export async function until(isTrue: () => boolean): Promise<void> {
  const start = performance.now();
  while (!isTrue()) {
    if (performance.now() - start > 90_000) throw new Error("waited 90 s for nothing");
    await new Promise((go) => setTimeout(go, 5));
  }
}
