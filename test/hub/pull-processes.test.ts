/** Downloads by several processes: killed in the middle, two at once, a full disk, limits of the system. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bytesOf, type FakeFile, type FakeRepo, type Seen, tagOf } from "./fake-hub.ts";
import { Bench, COMMIT, CONFIG, KIB, REPO_ID, sizeOf } from "./model-repo.ts";
import { reportOf, startPull, until } from "./processes.ts";

const BIG: FakeFile = { path: "model.safetensors", content: bytesOf(3000 * KIB, 7), isLarge: true };
const SECOND: FakeFile = { path: "second.safetensors", content: bytesOf(500 * KIB, 8), isLarge: true };
const BIG_REPO: FakeRepo = { commit: COMMIT, files: [CONFIG, BIG, SECOND] };
const ALL_BYTES = BIG.content.length + SECOND.content.length + CONFIG.content.length;
const FILES = ["config.json", "model.safetensors", "second.safetensors"];

vi.setConfig({ testTimeout: 180_000 }); // processes start slowly on a busy machine

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open(BIG_REPO);
});
afterEach(() => bench.close());

const isBig = (seen: Seen): boolean => seen.path.endsWith(`/content/${tagOf(BIG)}`);
const slowly = (chunk: number): void => {
  bench.hub.fault = (seen) => (isBig(seen) ? { kind: "slow", chunk, everyMs: 5 } : null);
};

describe("a process that is killed", () => {
  it("leaves nothing half-visible; the next one takes its lock at once and goes on from its bytes", async () => {
    bench.hub.fault = (seen) => (isBig(seen) ? { kind: "stall", after: 1000 * KIB } : null);
    const locks = join(bench.cacheDir, ".locks/models--test-org--tiny-model");
    const running = startPull({ endpoint: bench.hub.endpoint, cacheDir: bench.cacheDir });
    const others = FILES.filter((name) => name !== BIG.path).map((name) =>
      join(bench.modelDir, "snapshots", COMMIT, name),
    );
    // by what has reached the disk: what the server sent may still be under way
    await until(() => others.every(existsSync) && readdirSync(locks).length === 1);
    await until(() => sizeOf(bench.partialPath(BIG)) >= 512 * KIB);
    running.child.kill("SIGKILL");
    await running.ended;
    const kept = (await stat(bench.partialPath(BIG))).size;
    expect(kept).toBeGreaterThanOrEqual(512 * KIB);
    expect(BIG.content.subarray(0, kept).equals(await readFile(bench.partialPath(BIG)))).toBe(true);
    expect(await bench.listed("refs")).toEqual([]);
    expect(await bench.listed("blobs")).not.toContain(tagOf(BIG));
    expect(await bench.listed(`snapshots/${COMMIT}`)).not.toContain(BIG.path);
    expect(await readdir(locks)).toEqual([`${tagOf(BIG)}.nvila.lock`]);
    await expect(bench.pull({ offline: true })).rejects.toThrow("is not in the cache");
    await expect(bench.pull({ offline: true, revision: COMMIT })).rejects.toThrow(": model.safetensors missing");

    bench.hub.fault = () => null;
    const before = bench.hub.fileBytes(BIG);
    const start = performance.now();
    const model = await bench.pull({ timing: { lockStaleMs: 600_000 } });
    expect(performance.now() - start).toBeLessThan(60_000);
    expect(await bench.differing(model, BIG_REPO)).toEqual([]);
    expect(bench.hub.fileBytes(BIG) - before).toBe(BIG.content.length - kept);
    expect(await bench.leftovers()).toEqual([]);
    expect(await readdir(locks)).toEqual([]);
  });
});

describe("two processes at once", () => {
  it("share the work: every byte comes once, both end well", async () => {
    slowly(64 * KIB);
    const order = { endpoint: bench.hub.endpoint, cacheDir: bench.cacheDir };
    const reports = await Promise.all([startPull(order), startPull(order)].map(reportOf));
    for (const report of reports) expect(report).toMatchObject({ error: null, files: FILES });
    expect(bench.hub.fileBytes()).toBe(ALL_BYTES);
    expect(await bench.differing(await bench.pull({ offline: true }), BIG_REPO)).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("in one process likewise", async () => {
    slowly(256 * KIB);
    const models = await Promise.all([bench.pull(), bench.pull(), bench.pull({ revision: COMMIT })]);
    expect(models[1]).toEqual(models[0]);
    expect(models[2]).toEqual(models[0]);
    expect(bench.hub.fileBytes()).toBe(ALL_BYTES);
    expect(bench.warnings).toContain(`another download of ${REPO_ID} is under way; waiting for its files`);
  });
});

const canMount = spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;
const mountSuite = canMount ? describe : describe.skip;
if (!canMount) console.log("skipped: a full and a read-only disk (unshare and mount are not permitted here)");

/** Runs a command with a small disk of its own mounted at `folder`. */
const onSmallDisk = (folder: string, size: string, before: string): string[] => [
  "unshare",
  "-Urm",
  "sh",
  "-c",
  `mount -t tmpfs -o size=${size} tmpfs "$0" && ${before} exec "$@"`,
  folder,
];

mountSuite("a disk", () => {
  it("that gets full in the middle is told, the part is kept, and with room again it goes on", async () => {
    await mkdir(bench.cacheDir, { recursive: true });
    slowly(32 * KIB);
    const order = { endpoint: bench.hub.endpoint, cacheDir: bench.cacheDir, fillDiskAt: 1000 * KIB };
    const report = await reportOf(startPull(order, onSmallDisk(bench.cacheDir, "13m", "")));
    expect(report.error).toMatch(
      /cannot write .*\.incomplete \(ENOSPC\): the disk is full\. What was downloaded is kept/,
    );
    expect(report.left).toContain(`blobs/${tagOf(BIG)}.incomplete`);
    expect(report.left.filter((name) => name.startsWith("refs/") || name.endsWith("/model.safetensors"))).toEqual([]);
    expect(report.secondError).toBe(null);
    expect(report.secondReused).toBeGreaterThan(512 * KIB);
  });

  it("that is too small is told before anything is downloaded", async () => {
    await mkdir(bench.cacheDir, { recursive: true });
    const order = { endpoint: bench.hub.endpoint, cacheDir: bench.cacheDir };
    const report = await reportOf(startPull(order, onSmallDisk(bench.cacheDir, "5m", "")));
    expect(report.error).toMatch(/expected 11\.4 MiB of free space for .* got 5\.0 MiB/);
    expect(report.left).toEqual([]);
    expect(bench.hub.fileBytes()).toBe(0);
  });

  it("that cannot be written serves what is complete, with a warning, and tells what cannot be", async () => {
    await bench.pull();
    const whole = `cp -r ${bench.cacheDir} "$0/hub" && mount -o remount,ro "$0" &&`;
    const order = { endpoint: bench.hub.endpoint, cacheDir: join(bench.folder, "ro/hub"), revision: "v1.0" };
    await mkdir(join(bench.folder, "ro"));
    bench.hub.add(REPO_ID, { ...BIG_REPO, branches: ["main", "v1.0"] });
    const good = await reportOf(startPull(order, onSmallDisk(join(bench.folder, "ro"), "20m", whole)));
    expect(good).toMatchObject({ error: null, files: FILES });
    expect(good.warnings).toEqual([expect.stringMatching(/cannot write .* \(EROFS\): the disk is read-only/)]);
    const nothing = `mount -o remount,ro "$0" &&`;
    const bad = await reportOf(startPull(order, onSmallDisk(join(bench.folder, "ro"), "20m", nothing)));
    expect(bad.error).toMatch(/cannot write .* \((EROFS|ENOENT)\): .* You can set HF_HOME/);
  });
});

const hasPrlimit = spawnSync("prlimit", ["--version"]).status === 0;
if (!hasPrlimit) console.log("skipped: a limit on the size of files (no prlimit here)");

describe.skipIf(!hasPrlimit)("a limit on the size of files", () => {
  it("is told, the part is kept, and without the limit it goes on", async () => {
    const wrapper = ["prlimit", `--fsize=${1000 * KIB}`];
    const report = await reportOf(startPull({ endpoint: bench.hub.endpoint, cacheDir: bench.cacheDir }, wrapper));
    expect(report.error).toMatch(/\(EFBIG\): the file is larger than this file system or `ulimit -f` allows/);
    expect((await stat(bench.partialPath(BIG))).size).toBe(1000 * KIB);
    expect(await bench.listed("refs")).toEqual([]);
    const before = bench.hub.fileBytes(BIG);
    expect(await bench.differing(await bench.pull(), BIG_REPO)).toEqual([]);
    expect(bench.hub.fileBytes(BIG) - before).toBe(BIG.content.length - 1000 * KIB);
  });
});
