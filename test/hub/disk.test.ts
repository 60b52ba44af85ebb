/** Faults of the disk, injected into Node's file handles: nothing wrong is kept, and what to do is said. */
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkFreeSpace } from "../../src/hub/free-space.ts";
import { tagOf } from "./fake-hub.ts";
import { Bench, COMMIT, KIB, SCRATCH, WEIGHTS } from "./model-repo.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await bench.close();
});

const partial = (): string => bench.partialPath(WEIGHTS);
const fault = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

type Handle = Awaited<ReturnType<typeof open>>;
type Write = (
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesWritten: number }>;

/** The class of Node's file handles, which it does not export. */
async function handleClass(): Promise<Handle> {
  const folder = await mkdtemp(join(SCRATCH, "nvila-handle-"));
  const handle = await open(join(folder, "x"), "w");
  await handle.close();
  await rm(folder, { recursive: true });
  return Object.getPrototypeOf(handle);
}

async function replaceWrite(
  replace: (original: Write, ...args: Parameters<Write>) => ReturnType<Write>,
): Promise<void> {
  const proto = await handleClass();
  const original = proto.write as unknown as Write;
  vi.spyOn(proto, "write").mockImplementation(function (this: Handle, ...args: unknown[]) {
    return replace(original.bind(this), ...(args as unknown as Parameters<Write>)) as never;
  });
}

describe("a disk that fails", () => {
  it.each([
    ["ENOSPC", "the disk is full. What was downloaded is kept"],
    ["EDQUOT", "your quota on this disk is used up"],
    ["EIO", "the disk reports a fault"],
    ["EXYZ", "EXYZ: injected"],
  ])("with %s in the middle of a file is told; the good part is kept and used", async (code, text) => {
    await replaceWrite((original, buffer, offset, length, position) =>
      position >= 256 * KIB ? Promise.reject(fault(code)) : original(buffer, offset, length, position),
    );
    await expect(bench.pull({ parallelFiles: 1 })).rejects.toThrow(`.incomplete (${code}): ${text}`);
    expect((await readFile(partial())).equals(WEIGHTS.content.subarray(0, 256 * KIB))).toBe(true);
    expect(await bench.listed("refs")).toEqual([]);
    expect(await bench.listed(`snapshots/${COMMIT}`)).not.toContain(WEIGHTS.path);
    expect(await bench.listed("../.locks")).toEqual([]);

    vi.restoreAllMocks();
    const before = bench.hub.fileBytes(WEIGHTS);
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS) - before).toBe(WEIGHTS.content.length - 256 * KIB);
  });

  it("writes less than it was given: the rest follows", async () => {
    await replaceWrite((original, buffer, offset, length, position) =>
      original(buffer, offset, Math.min(length, 10_007), position),
    );
    expect(await bench.differing(await bench.pull())).toEqual([]);
  });

  it("cannot make the file safe: it does not count", async () => {
    const proto = await handleClass();
    vi.spyOn(proto, "datasync").mockRejectedValue(fault("EIO"));
    await expect(bench.pull()).rejects.toThrow("(EIO): the disk reports a fault");
    expect((await bench.listed("blobs")).every((name) => name.endsWith(".incomplete"))).toBe(true);
    expect(await bench.listed("refs")).toEqual([]);
    vi.restoreAllMocks();
    expect(await bench.differing(await bench.pull())).toEqual([]);
  });

  it("gets bytes from another program into the same unfinished file: it is begun anew", async () => {
    const proto = await handleClass();
    const original = proto.stat;
    let isDone = false;
    vi.spyOn(proto, "stat").mockImplementation(async function (this: Handle) {
      if (!isDone && (await stat(partial()).catch(() => null))?.size === WEIGHTS.content.length) {
        isDone = true;
        await writeFile(partial(), "and more", { flag: "a" });
      }
      return original.call(this) as never;
    });
    const model = await bench.pull();
    expect(isDone).toBe(true);
    expect(await bench.differing(model)).toEqual([]);
  });
});

describe("places that cannot be used", () => {
  it("as cache are told", async () => {
    await writeFile(join(bench.folder, "file"), "");
    const pulling = bench.pull({ cacheDir: join(bench.folder, "file/hub") });
    await expect(pulling).rejects.toThrow(/cannot write .* \(ENOTDIR\): a file is in the place of a folder/);
  });

  it("within the cache are told", async () => {
    await mkdir(join(bench.modelDir, "blobs", tagOf(WEIGHTS)), { recursive: true });
    await expect(bench.pull()).rejects.toThrow(/\((EISDIR|ENOTEMPTY|EEXIST)\)/);
    expect(await bench.listed("refs")).toEqual([]);
  });
});

describe("free space", () => {
  it("is asked of the nearest folder that exists", async () => {
    await checkFreeSpace(join(bench.folder, "not/yet/there"), 1);
    await checkFreeSpace(join(bench.folder, "not/yet/there"), 0);
    const asking = checkFreeSpace(join(bench.folder, "not/yet/there"), 2 ** 60);
    await expect(asking).rejects.toThrow(/expected 1073741824\.01 GiB of free space for .*, got [\d.]+ [MG]iB/);
  });
});
