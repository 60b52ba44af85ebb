/**
 * Runs the user's ffmpeg and ffprobe: found on PATH by absolute path, started with argument arrays and no shell, killed on
 * abort and when time is up. Knows nothing about videos.
 */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { messageOf, RequestError, UnsupportedError } from "../util/errors.ts";

export interface FfmpegTools {
  readonly ffmpeg: string;
  readonly ffprobe: string;
}

export interface RunOptions {
  /** What messages call the video. */
  readonly label: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets the output piece by piece. What it throws ends the run. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** Both programs, or null when one is missing. `NVILA_FFMPEG` and `NVILA_FFPROBE` may name them, else PATH is searched. */
export async function findFfmpeg(env: NodeJS.ProcessEnv = process.env): Promise<FfmpegTools | null> {
  const ffmpeg = await findProgram("ffmpeg", env.NVILA_FFMPEG, env);
  const ffprobe = await findProgram("ffprobe", env.NVILA_FFPROBE, env);
  return ffmpeg !== null && ffprobe !== null ? { ffmpeg, ffprobe } : null;
}

/** We search ourselves: Windows would also look into the working folder, where a stranger's program may lie. */
async function findProgram(name: string, chosen: string | undefined, env: NodeJS.ProcessEnv): Promise<string | null> {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const places = chosen
    ? [chosen]
    : (env.PATH ?? env.Path ?? "").split(delimiter).map((folder) => join(folder, name + suffix));
  for (const place of places) {
    if (isAbsolute(place) && (await isProgram(place))) return place;
  }
  return null;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

const STDERR_TAIL = 600;

/**
 * Runs one program to its end.
 *
 * @returns whether it ended without complaint: exit code 0. A failure is for the caller to judge, since programs fail at
 * the end of damaged files after they gave all that can be had.
 * @throws UnsupportedError when it cannot be started; RequestError when time is up; the signal's reason on abort; whatever
 * `onOutput` throws.
 */
export function runProgram(
  program: string,
  args: readonly string[],
  { label, timeoutMs, signal, onOutput }: RunOptions,
): Promise<{ ok: boolean; complaint: string }> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
    let failure: { error: unknown } | null = null;
    let complaint = "";
    const stop = (error: unknown): void => {
      failure ??= { error };
      child.kill("SIGKILL");
    };
    const onAbort = (): void => stop(signal?.reason);
    const timer = setTimeout(
      () => stop(new RequestError("video", `${label} was not decoded within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    child.stdout.on("data", (bytes: Buffer) => {
      if (failure) return;
      try {
        onOutput(bytes);
      } catch (error) {
        stop(error);
      }
    });
    child.stderr.on("data", (bytes: Buffer) => {
      complaint = (complaint + bytes.toString("utf8")).slice(-STDERR_TAIL);
    });
    child.on("error", (cause) => {
      failure ??= {
        error: new UnsupportedError("video", `${program} cannot be started: ${messageOf(cause)}`, { cause }),
      };
    });
    // "close" comes after the last output, also when the program could not be started.
    child.on("close", (code) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      if (failure) reject(failure.error);
      else resolve({ ok: code === 0, complaint: complaint.trim().replace(/\s+/g, " ") });
    });
  });
}
