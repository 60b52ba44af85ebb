/**
 * A lock between processes that needs nothing but a shared folder: a file that only one can create. Its holder refreshes
 * the time stamp; whoever waits and sees no refresh for `lockStaleMs` takes it over, at once when the holder was a process
 * of this machine that is gone. Staleness is measured by the waiter's own clock, so clocks need not agree. A holder that
 * was suspended and lost its lock learns it through the signal given to its work. (Python's tools lock with flock, which
 * Node lacks; hence the name of the lock file is our own, and what the lock guards must survive a lost lock: see
 * partial-file.ts.)
 */
import { randomUUID } from "node:crypto";
import { readlinkSync } from "node:fs";
import { mkdir, open, readFile, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { diskError } from "./disk-error.ts";
import { pause, TransientError } from "./hub-http.ts";
import type { HubTiming } from "./hub-timing.ts";

export interface LockOptions {
  readonly timing: Pick<HubTiming, "lockPollMs" | "lockStaleMs">;
  readonly signal?: AbortSignal | undefined;
  /** Called once if somebody else holds the lock. */
  readonly onWait?: () => void;
}

interface LockState {
  readonly token: string;
  readonly pid: number;
  readonly machine: string;
  readonly mtimeMs: number;
}

const heldHere = new Set<string>();

/** Runs `work` while holding the lock. Its signal aborts with the caller's, or when the lock is lost. */
export async function withFileLock<T>(
  path: string,
  options: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const token = randomUUID();
  heldHere.add(token); // before the file exists, so that nobody here takes it for a dead process's
  try {
    await acquire(path, token, options);
    const lost = new AbortController();
    const beat = setInterval(() => void refresh(path, token, lost), options.timing.lockStaleMs / 4);
    beat.unref();
    try {
      return await work(options.signal ? AbortSignal.any([options.signal, lost.signal]) : lost.signal);
    } finally {
      clearInterval(beat);
      if ((await look(path).catch(() => null))?.token === token) await unlink(path).catch(() => {});
    }
  } finally {
    heldHere.delete(token);
  }
}

async function acquire(path: string, token: string, { timing, signal, onWait }: LockOptions): Promise<void> {
  const text = JSON.stringify({ token, pid: process.pid, machine: machineName() });
  let seen = { key: "", sinceMs: 0 };
  let hasWaited = false;
  try {
    await mkdir(dirname(path), { recursive: true });
    for (;;) {
      signal?.throwIfAborted();
      if (await create(path, text)) return;
      const state = await look(path);
      if (state === null) continue; // released just now
      const key = `${state.token} ${state.mtimeMs}`;
      if (key !== seen.key) seen = { key, sinceMs: performance.now() };
      if (isDead(state) || performance.now() - seen.sinceMs >= timing.lockStaleMs) {
        if (await takeOver(path, token, text, key, timing.lockPollMs)) return;
        continue;
      }
      if (!hasWaited) onWait?.();
      hasWaited = true;
      await pause(timing.lockPollMs, signal);
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw diskError(error, path);
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Puts our lock in the place of a stale one. Several may try: after a moment only the last to do so still finds itself. */
async function takeOver(path: string, token: string, text: string, key: string, settleMs: number): Promise<boolean> {
  const beside = `${path}.${token}`;
  await writeFile(beside, text, { flag: "wx" });
  try {
    const state = await look(path);
    if (state === null || `${state.token} ${state.mtimeMs}` !== key) return false;
    await rename(beside, path);
  } finally {
    await unlink(beside).catch(() => {});
  }
  await pause(settleMs, undefined);
  return (await look(path))?.token === token;
}

/** Null when there is no lock. A lock that says nothing (its maker died at once) has an empty token. */
async function look(path: string): Promise<LockState | null> {
  try {
    const [{ mtimeMs }, text] = await Promise.all([stat(path), readFile(path, "utf8")]);
    let value: Partial<Record<"token" | "pid" | "machine", unknown>> = {};
    try {
      value = JSON.parse(text) ?? {};
    } catch {}
    const { token, pid, machine } = value;
    return {
      token: typeof token === "string" ? token : "",
      pid: typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
      machine: typeof machine === "string" ? machine : "",
      mtimeMs,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function refresh(path: string, token: string, lost: AbortController): Promise<void> {
  try {
    if ((await look(path))?.token !== token) {
      lost.abort(new TransientError("another process took over this download"));
      return;
    }
    const now = new Date();
    await utimes(path, now, now);
  } catch {
    // a passing fault of the disk: the next beat tries again
  }
}

/** True when the holder was a process of this machine that no longer runs. */
function isDead(state: LockState): boolean {
  if (state.pid === 0 || state.machine !== machineName()) return false;
  if (state.pid === process.pid) return !heldHere.has(state.token);
  try {
    process.kill(state.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Process ids mean something only within one host and, in containers, one pid namespace. */
function machineName(): string {
  let namespace = "";
  try {
    namespace = readlinkSync("/proc/self/ns/pid");
  } catch {} // not Linux
  return `${hostname()} ${namespace}`;
}
