/** The lock between downloads: one at a time, stale ones taken over by exactly one, lost ones noticed. */
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withFileLock } from "../../src/hub/file-lock.ts";
import { SCRATCH } from "./model-repo.ts";

const TIMING = { lockPollMs: 5, lockStaleMs: 10_000 };
/** For what must become stale in a test. */
const SOON = { lockPollMs: 5, lockStaleMs: 400 };
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(SCRATCH, "nvila-lock-"));
  path = join(folder, "deep/er/x.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A lock that somebody else left. */
async function putLock(content: string): Promise<void> {
  await mkdir(join(folder, "deep/er"), { recursive: true });
  await writeFile(path, content);
}

/** How long it takes to get the lock. */
async function timeToLock(timing = TIMING): Promise<number> {
  const start = performance.now();
  return withFileLock(path, { timing }, async () => performance.now() - start);
}

/** Many want the lock; returns the most that ever had it at once. */
async function contend(count: number, timing = TIMING): Promise<{ most: number; done: number }> {
  let inside = 0;
  let most = 0;
  let done = 0;
  const one = (): Promise<void> =>
    withFileLock(path, { timing }, async (signal) => {
      most = Math.max(most, ++inside);
      await sleep(4);
      if (!signal.aborted) done++;
      inside--;
    });
  await Promise.all(Array.from({ length: count }, one));
  return { most, done };
}

describe("a lock", () => {
  it("lets one in at a time and leaves nothing", async () => {
    expect(await contend(12)).toEqual({ most: 1, done: 12 });
    expect(await readdir(join(folder, "deep/er"))).toEqual([]);
  });

  it("is released when the work fails, and its error comes through", async () => {
    const fail = withFileLock(path, { timing: TIMING }, () => Promise.reject(new Error("no")));
    await expect(fail).rejects.toThrow("no");
    expect(await timeToLock()).toBeLessThan(TIMING.lockStaleMs);
  });

  it("tells once that it waits, and can be aborted while it does", async () => {
    let waits = 0;
    const stop = new AbortController();
    await withFileLock(path, { timing: TIMING }, async () => {
      const second = withFileLock(path, { timing: TIMING, signal: stop.signal, onWait: () => waits++ }, async () => {});
      setTimeout(() => stop.abort(new Error("enough")), 40);
      await expect(second).rejects.toThrow("enough");
    });
    expect(waits).toBe(1);
  });

  it("is kept fresh while the work lasts", async () => {
    let isOut = false;
    const first = withFileLock(path, { timing: SOON }, async (signal) => {
      await sleep(2.5 * SOON.lockStaleMs);
      expect(signal.aborted).toBe(false);
      isOut = true;
    });
    await sleep(20);
    await withFileLock(path, { timing: SOON }, async () => expect(isOut).toBe(true));
    await first;
  });
});

describe("a lock that somebody left", () => {
  const machine = async (): Promise<string> => {
    let text = "";
    await withFileLock(path, { timing: TIMING }, async () => {
      text = await readFile(path, "utf8");
    });
    return JSON.parse(text).machine;
  };

  it("names this machine", async () => {
    expect(await machine()).toContain(hostname());
  });

  it("is taken over at once when its process is gone", async () => {
    await putLock(JSON.stringify({ token: "x", pid: 4_194_303 + 5, machine: await machine() }));
    expect(await timeToLock()).toBeLessThan(TIMING.lockStaleMs);
  });

  it("is taken over at once when an earlier process had this process's number", async () => {
    await putLock(JSON.stringify({ token: "x", pid: process.pid, machine: await machine() }));
    expect(await timeToLock()).toBeLessThan(TIMING.lockStaleMs);
  });

  it.each([
    ["another machine's", JSON.stringify({ token: "x", pid: 4_194_308, machine: "elsewhere" })],
    ["empty", ""],
    ["no JSON", "{"],
    ["null", "null"],
    ["of strange values", JSON.stringify({ token: 1, pid: -1, machine: [] })],
  ])("is waited for when it is %s, then taken over", async (_, content) => {
    await putLock(content);
    expect(await timeToLock({ lockPollMs: 5, lockStaleMs: 120 })).toBeGreaterThan(118);
  });

  it("is respected while its holder refreshes it, whatever that machine's clock says", async () => {
    await putLock(JSON.stringify({ token: "x", pid: 4_194_308, machine: "elsewhere" }));
    let ticks = 0;
    const beat = setInterval(() => void utimes(path, 1000, 1000 + ticks++), SOON.lockStaleMs / 8);
    setTimeout(() => clearInterval(beat), 2 * SOON.lockStaleMs);
    expect(await timeToLock(SOON)).toBeGreaterThan(2 * SOON.lockStaleMs);
  });

  it("goes to exactly one of many", async () => {
    for (const pid of [4_194_308, 0]) {
      await putLock(JSON.stringify({ token: "x", pid, machine: await machine() }));
      expect(await contend(8, { lockPollMs: 40, lockStaleMs: 600 })).toEqual({ most: 1, done: 8 });
    }
    expect(await readdir(join(folder, "deep/er"))).toEqual([]);
  });
});

describe("a lock that is lost", () => {
  it("stops the work, and the new holder's lock stays", async () => {
    const other = JSON.stringify({ token: "other", pid: 1, machine: "elsewhere" });
    const work = withFileLock(path, { timing: SOON }, async (signal) => {
      await writeFile(path, other);
      await sleep(20_000, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    });
    await expect(work).rejects.toThrow("another process took over this download");
    expect(await readFile(path, "utf8")).toBe(other);
  });
});
