/** Where a benchmark ran, for its last line, and whether the machine is quiet enough for it. */
import { spawnSync } from "node:child_process";
import { availableParallelism, cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** Of the last minute, before the benchmark. */
  readonly load: number;
  readonly node: string;
  /** Of the sources; "+" when they differ from it. Null outside a repository. */
  readonly commit: string | null;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    load: loadavg()[0],
    node: process.version,
    commit: commit(),
  };
}

/** How busy the machine is: the benchmark may run, runs with a warning, or should not run. */
export function busyness({ load, cores }: Machine): "quiet" | "busy" | "too busy" {
  if (load <= 0.5 * cores) return "quiet";
  return load <= 2 * cores ? "busy" : "too busy";
}

function commit(): string | null {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  const head = git("rev-parse", "--short", "HEAD");
  if (head.status !== 0) return null;
  const isClean = git("diff", "--quiet", "HEAD").status === 0;
  return head.stdout.trim() + (isClean ? "" : "+");
}
