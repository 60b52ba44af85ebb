/** Runs the built command line as a user would: its own process, its own streams, its exit code. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(fileURLToPath(new URL("../../", import.meta.url)));
const MAIN = join(ROOT, "dist/cli/main.js");

export interface CliResult {
  /** Exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  /** Without lines of progress ("tiles encoded 3/13"), which come only when a stage takes longer than a second. */
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the project's folder. */
  readonly cwd?: string;
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  /** Sends SIGINT as soon as this text stands on stderr or stdout. */
  readonly interruptAt?: string;
  readonly timeoutMs?: number;
}

/** @throws Error when the command takes longer than `timeoutMs` (default 30 s): nothing may hang. */
export async function nvila(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  if (!existsSync(MAIN)) throw new Error("dist/cli/main.js is missing: run `npm run build` first");
  const { env = {}, cwd = ROOT, input = "", interruptAt, timeoutMs = 30_000 } = options;
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    // A home of its own: no test reads or writes the user's cache, token or history.
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", HF_HUB_OFFLINE: "1", NO_COLOR: "1", ...env },
  });
  let stdout = "";
  let stderr = "";
  let isInterrupted = false; // a second Ctrl-C is another thing than the first
  const look = (): void => {
    if (isInterrupted || interruptAt === undefined || !`${stdout}${stderr}`.includes(interruptAt)) return;
    isInterrupted = child.kill("SIGINT");
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    look();
  });
  child.stdin.on("error", () => {}); // the command may end before it reads
  child.stdin.end(input);
  return new Promise((done, fail) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      fail(new Error(`nvila ${args.join(" ")} did not end within ${timeoutMs} ms. stderr: ${stderr.slice(-500)}`));
    }, timeoutMs);
    child.on("error", fail);
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code, stdout, stderr: withoutProgress(stderr) });
    });
  });
}

export function withoutProgress(stderr: string): string {
  return stderr.replace(/^[a-z ]+ \d+\/\d+\n/gm, "");
}
