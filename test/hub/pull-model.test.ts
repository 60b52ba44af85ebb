/** A download that goes well: requests, layout of the cache, what is not fetched twice, revisions, offline use. */
import {
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PullProgress } from "../../src/hub/pull-progress.ts";
import { bytesOf, tagOf } from "./fake-hub.ts";
import { Bench, COMMIT, CONFIG, REPO, REPO_ID, WANTED, WEIGHTS } from "./model-repo.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const wantedFiles = REPO.files.filter((file) => WANTED.includes(file.path));
const uniqueTags = [...new Set(wantedFiles.map(tagOf))].sort();
const uniqueBytes = wantedFiles
  .filter((file, index) => wantedFiles.findIndex((other) => tagOf(other) === tagOf(file)) === index)
  .reduce((sum, file) => sum + file.content.length, 0);

describe("a first download", () => {
  it("brings the wanted files, whole, and nothing else", async () => {
    const model = await bench.pull();
    expect(model).toEqual({ snapshotDir: join(bench.modelDir, "snapshots", COMMIT), commit: COMMIT, files: WANTED });
    expect(await bench.differing(model)).toEqual([]);
    expect(await bench.listed(`snapshots/${COMMIT}`)).toEqual(WANTED);
    expect(bench.hub.fileBytes()).toBe(uniqueBytes);
    expect(bench.warnings).toEqual([]);
  });

  it("leaves the layout that the Python tools use", async () => {
    await bench.pull();
    expect(await bench.listed("blobs")).toEqual(uniqueTags);
    expect(await bench.listed("refs")).toEqual(["main"]);
    expect(await readFile(join(bench.modelDir, "refs/main"), "utf8")).toBe(COMMIT);
    expect(await readlink(join(bench.modelDir, "snapshots", COMMIT, "config.json"))).toBe(
      `../../blobs/${tagOf(CONFIG)}`,
    );
    expect(await readlink(join(bench.modelDir, "snapshots", COMMIT, WEIGHTS.path))).toBe(
      `../../../blobs/${tagOf(WEIGHTS)}`,
    );
    const tree = JSON.parse(await readFile(join(bench.modelDir, `trees/${COMMIT}.json`), "utf8"));
    expect(tree.format_version).toBe(1);
    expect(Object.keys(tree.files)).toEqual(REPO.files.map((file) => file.path).sort());
    expect(tree.files[WEIGHTS.path]).toMatchObject({ lfs_sha256: tagOf(WEIGHTS), lfs_size: WEIGHTS.content.length });
    expect(tree.files["config.json"]).toEqual({ size: CONFIG.content.length, blob_id: tagOf(CONFIG) });
    expect((await readdir(join(bench.cacheDir, ".locks/models--test-org--tiny-model"))).length).toBe(0);
  });

  it("keeps what only the Python tools use", async () => {
    const xetHash = "f".repeat(64);
    const files = REPO.files.map((file) => (file === WEIGHTS ? { ...WEIGHTS, xetHash } : file));
    bench.hub.add(REPO_ID, { ...REPO, files });
    await bench.pull();
    const tree = JSON.parse(await readFile(join(bench.modelDir, `trees/${COMMIT}.json`), "utf8"));
    expect(tree.files[WEIGHTS.path].xet_hash).toBe(xetHash);
    expect(tree.files["llm/tokenizer.json"].xet_hash).toBe(undefined);
  });

  it("sends the token to the hub and never to the storage", async () => {
    await bench.pull({ token: "hf_secret" });
    const { seen } = bench.hub;
    expect(seen.filter((one) => one.server === "hub").every((one) => one.authorization === "Bearer hf_secret")).toBe(
      true,
    );
    const storage = seen.filter((one) => one.server === "storage");
    expect(storage.length).toBe(3);
    expect(storage.every((one) => one.authorization === null)).toBe(true);
  });

  it("reads a listing in pages, even when their links name another host", async () => {
    bench.hub.pageSize = 3;
    expect((await bench.pull()).files).toEqual(WANTED);
    expect(bench.hub.seen.filter((one) => one.path.includes("/tree/")).length).toBe(4);
  });

  it("reports progress that only grows and ends at the sum", async () => {
    const steps: PullProgress[] = [];
    await bench.pull({ onProgress: (progress) => steps.push(progress) });
    expect(steps.every((step, i) => i === 0 || step.bytesDone >= steps[i - 1].bytesDone)).toBe(true);
    expect(steps.at(-1)).toEqual({
      bytesDone: uniqueBytes, // two of the files are the same
      bytesTotal: uniqueBytes,
      bytesReceived: uniqueBytes,
      bytesReused: 0,
      filesDone: WANTED.length,
      filesTotal: WANTED.length,
    });
  });

  it("fetches at most the given number of files at once", async () => {
    bench.hub.fault = (seen) =>
      /content|resolve-cache/.test(seen.path) ? { kind: "slow", chunk: 1 << 20, everyMs: 100 } : null;
    await bench.pull({ parallelFiles: 2 });
    expect(bench.hub.mostAtOnce).toBe(2);
    for (const parallelFiles of [0, 1.5, Number.NaN, -1]) {
      await expect(bench.pull({ parallelFiles })).rejects.toThrow(`at least 1 as parallelFiles, got ${parallelFiles}`);
    }
  });

  it("can do without symbolic links", async () => {
    process.env.HF_HUB_DISABLE_SYMLINKS = "1";
    try {
      const model = await bench.pull();
      expect(await bench.differing(model)).toEqual([]);
      await expect(readlink(join(model.snapshotDir, "config.json"))).rejects.toThrow("EINVAL");
    } finally {
      delete process.env.HF_HUB_DISABLE_SYMLINKS;
    }
  });
});

describe("a second download", () => {
  it("asks only which commit it is", async () => {
    const first = await bench.pull();
    bench.hub.seen.length = 0;
    expect(await bench.pull()).toEqual(first);
    expect(bench.hub.seen.map((one) => one.path)).toEqual([`/api/models/${REPO_ID}/revision/main`]);
  });

  it("of a commit needs no network", async () => {
    const first = await bench.pull();
    bench.hub.seen.length = 0;
    expect(await bench.pull({ revision: COMMIT })).toEqual(first);
    expect(bench.hub.seen).toEqual([]);
  });

  it("of a new commit brings only what changed", async () => {
    await bench.pull();
    const config = { ...CONFIG, content: Buffer.from('{"model_type":"y"}') };
    const commit = "a".repeat(40);
    const newer = { commit, files: REPO.files.map((file) => (file.path === CONFIG.path ? config : file)) };
    bench.hub.add(REPO_ID, newer);
    const before = bench.hub.fileBytes();
    const model = await bench.pull();
    expect(model.commit).toBe(commit);
    expect(await bench.differing(model, newer)).toEqual([]);
    expect(bench.hub.fileBytes() - before).toBe(config.content.length);
    expect((await bench.listed("snapshots")).length).toBe(2 * WANTED.length);
    expect(await readFile(join(bench.modelDir, "refs/main"), "utf8")).toBe(commit);
  });

  it("repairs what was damaged: a lost blob, a short blob, a link to nothing", async () => {
    const { snapshotDir } = await bench.pull();
    const vision = REPO.files.find((file) => file.path === "vision_tower/model.safetensors")!;
    await unlink(join(bench.modelDir, "blobs", tagOf(CONFIG)));
    await truncate(join(bench.modelDir, "blobs", tagOf(vision)), 100);
    await unlink(join(snapshotDir, "llm/tokenizer.json"));
    await symlink("../../../blobs/nothing", join(snapshotDir, "llm/tokenizer.json"));
    const before = bench.hub.fileBytes();
    const model = await bench.pull();
    expect(await bench.differing(model)).toEqual([]);
    expect(bench.hub.fileBytes() - before).toBe(CONFIG.content.length + vision.content.length);
  });
});

describe("revisions", () => {
  it.each(["v1.0", "refs/pr/7", COMMIT])("takes %s after the id and as an option", async (revision) => {
    expect((await bench.pull({}, `${REPO_ID}@${revision}`)).commit).toBe(COMMIT);
    expect((await bench.pull({ revision })).commit).toBe(COMMIT);
    expect(await bench.listed("refs")).toEqual(revision === COMMIT ? [] : [revision]);
  });

  it("refuses two that differ", async () => {
    await expect(bench.pull({ revision: "main" }, `${REPO_ID}@v1.0`)).rejects.toThrow(
      'got "v1.0" in the id and "main"',
    );
  });
});

describe("offline", () => {
  it("serves a complete copy and asks nobody", async () => {
    const first = await bench.pull();
    await bench.hub.stop();
    expect(await bench.pull({ offline: true })).toEqual(first);
    expect(await bench.pull({ offline: true, revision: COMMIT })).toEqual(first);
  });

  it("honours HF_HUB_OFFLINE", async () => {
    process.env.HF_HUB_OFFLINE = "1";
    try {
      await expect(bench.pull()).rejects.toThrow(/not in the cache .* network is switched off/);
      expect(bench.hub.seen).toEqual([]);
    } finally {
      delete process.env.HF_HUB_OFFLINE;
    }
  });

  it("names what is missing", async () => {
    await bench.pull();
    await unlink(join(bench.modelDir, "blobs", tagOf(WEIGHTS)));
    await expect(bench.pull({ offline: true })).rejects.toThrow(/not complete .*: llm\/model.safetensors missing/);
    await expect(bench.pull({ offline: true, revision: "v9" })).rejects.toThrow(/tiny-model@v9 is not in the cache/);
  });

  it("judges a snapshot without a listing, as older Python tools leave it, by its links and indices", async () => {
    const { snapshotDir } = await bench.pull();
    await rm(join(bench.modelDir, "trees"), { recursive: true });
    expect((await bench.pull({ offline: true })).files).toEqual(WANTED);
    const index = { weight_map: { a: "one.safetensors", b: "model.safetensors", c: "../evil.safetensors" } };
    await writeFile(join(snapshotDir, "llm/model.safetensors.index.json"), JSON.stringify(index));
    expect((await bench.pull({ offline: true })).files).toContain("llm/model.safetensors.index.json"); // a name out of bounds: for the loader
    delete (index.weight_map as Record<string, string>).c;
    await writeFile(join(snapshotDir, "llm/model.safetensors.index.json"), JSON.stringify(index));
    await expect(bench.pull({ offline: true })).rejects.toThrow(": llm/one.safetensors missing");
    await unlink(join(snapshotDir, "config.json"));
    await expect(bench.pull({ offline: true })).rejects.toThrow(": config.json, llm/one.safetensors missing");
  });

  it("ignores a damaged listing and a damaged ref", async () => {
    await bench.pull();
    await writeFile(join(bench.modelDir, `trees/${COMMIT}.json`), "{");
    expect((await bench.pull({ offline: true })).files).toEqual(WANTED);
    await writeFile(join(bench.modelDir, "refs/main"), "../../../etc");
    await expect(bench.pull({ offline: true })).rejects.toThrow("is not in the cache");
  });
});

describe("when the hub is away", () => {
  it("uses a complete copy, with a warning", async () => {
    const first = await bench.pull();
    await bench.hub.stop();
    expect(await bench.pull()).toEqual(first);
    expect(bench.warnings).toEqual([
      expect.stringMatching(/cannot be reached \(ECONNREFUSED\); using the copy .* commit 5f0b1c2d3e4f/),
    ]);
  });

  it("uses a complete copy when the hub only answers 503", async () => {
    const first = await bench.pull();
    bench.hub.fault = () => ({ kind: "status", status: 503 });
    expect(await bench.pull()).toEqual(first);
    expect(bench.warnings[0]).toContain("answered 503; using the copy");
  });

  it("says so when there is no copy, or no complete one", async () => {
    await bench.pull();
    await unlink(join(bench.modelDir, "blobs", tagOf(CONFIG)));
    await bench.hub.stop();
    await expect(bench.pull()).rejects.toThrow(/cannot be reached .* the copy in the cache lacks config.json of/);
    await rm(bench.modelDir, { recursive: true });
    await expect(bench.pull()).rejects.toThrow(
      /cannot be reached .* the cache has no copy of test-org\/tiny-model@main\. You can/,
    );
  });

  it("hints at a proxy that Node does not use", async () => {
    await bench.hub.stop();
    process.env.HTTPS_PROXY = "http://proxy.example:3128";
    try {
      await expect(bench.pull()).rejects.toThrow("A proxy is set in HTTPS_PROXY; Node uses it from version 24 on");
    } finally {
      delete process.env.HTTPS_PROXY;
    }
  });

  it("does not use the copy of a model that may no longer be read, but names it", async () => {
    await bench.pull();
    bench.hub.fault = () => ({ kind: "status", status: 403 });
    await expect(bench.pull()).rejects.toThrow(/\(403\).* A complete copy is in the cache: --offline uses it/);
  });
});

describe("a cache that other tools share", () => {
  it("takes blobs and links that are there, also through a store shared by all models", async () => {
    const store = join(bench.cacheDir, "blobs", "ab", "ab".repeat(32));
    const blob = join(bench.modelDir, "blobs", tagOf(WEIGHTS));
    await mkdir(dirname(store), { recursive: true });
    await mkdir(dirname(blob), { recursive: true });
    await writeFile(store, WEIGHTS.content);
    await symlink(`../../blobs/ab/${"ab".repeat(32)}`, blob);
    const model = await bench.pull();
    expect(await bench.differing(model)).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(0);
    expect((await stat(store)).size).toBe(WEIGHTS.content.length);
  });

  it("takes files that lie in the snapshot themselves", async () => {
    const path = join(bench.modelDir, "snapshots", COMMIT, WEIGHTS.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, WEIGHTS.content);
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(0);
  });

  it("may be moved", async () => {
    const model = await bench.pull();
    await rename(bench.cacheDir, join(bench.folder, "moved"));
    const moved = await bench.pull({ cacheDir: join(bench.folder, "moved"), offline: true });
    expect(moved.snapshotDir).toBe(model.snapshotDir.replace("/hub/", "/moved/"));
    expect(await bench.differing(moved)).toEqual([]);
  });
});

describe("weights that are no safetensors", () => {
  it("are refused before anything is downloaded", async () => {
    const files = [CONFIG, { path: "pytorch_model.bin", content: bytesOf(10, 1), isLarge: true }];
    bench.hub.add(REPO_ID, { commit: COMMIT, files });
    await expect(bench.pull()).rejects.toThrow(
      "expected weights as *.safetensors in test-org/tiny-model, got pytorch_model.bin",
    );
    expect(bench.hub.fileBytes()).toBe(0);
    expect(await bench.listed()).toEqual([]);
  });
});
