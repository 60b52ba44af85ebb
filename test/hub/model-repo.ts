/** A small model repository, short time limits and a fresh cache folder, for the tests of downloads. */
import { existsSync, statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HubTiming } from "../../src/hub/hub-timing.ts";
import { type PulledModel, type PullOptions, pullModel } from "../../src/hub/pull-model.ts";
import { bytesOf, type FakeFile, FakeHub, type FakeRepo, type Seen, tagOf } from "./fake-hub.ts";

export const REPO_ID = "test-org/tiny-model";
export const COMMIT = "5f0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b";
export const KIB = 1024;

/** The big file of the repository. */
export const WEIGHTS: FakeFile = { path: "llm/model.safetensors", content: bytesOf(700 * KIB, 1), isLarge: true };
export const CONFIG: FakeFile = { path: "config.json", content: Buffer.from('{"model_type":"x"}\n'), isLarge: false };

export const REPO: FakeRepo = {
  commit: COMMIT,
  branches: ["main", "v1.0", "refs/pr/7"],
  files: [
    { path: ".gitattributes", content: Buffer.from("*.safetensors lfs\n"), isLarge: false },
    { path: "README.md", content: Buffer.from("# tiny\n"), isLarge: false },
    CONFIG,
    { path: "llm/config.json", content: Buffer.from('{"hidden":8}'), isLarge: false },
    WEIGHTS,
    { path: "llm/tokenizer.json", content: bytesOf(90 * KIB, 2), isLarge: true },
    { path: "llm/merges.txt", content: Buffer.from(""), isLarge: false },
    { path: "vision_tower/model.safetensors", content: bytesOf(200 * KIB, 3), isLarge: true },
    { path: "vision_tower/config.json", content: Buffer.from('{"hidden":8}'), isLarge: false },
    { path: "pytorch_model.bin", content: bytesOf(5 * KIB, 4), isLarge: true },
    { path: "modeling_tiny.py", content: Buffer.from("raise SystemExit\n"), isLarge: false },
  ],
};

/** What a pull brings, sorted. */
export const WANTED: readonly string[] = [
  "config.json",
  "llm/config.json",
  "llm/merges.txt",
  "llm/model.safetensors",
  "llm/tokenizer.json",
  "vision_tower/config.json",
  "vision_tower/model.safetensors",
];

export const FAST: HubTiming = {
  attempts: 3,
  baseDelayMs: 2,
  maxDelayMs: 10,
  maxRetryAfterMs: 60,
  headersMs: 10_000, // tests that mean to wait set less
  stallMs: 10_000,
  progressBytes: 64 * KIB,
  lockPollMs: 10,
  lockStaleMs: 400,
};

/** Environment variables of the machine must not reach the tests. */
export const HUB_VARIABLES: readonly string[] = [
  "HF_HOME",
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "HF_TOKEN_PATH",
  "HF_ENDPOINT",
  "HF_HUB_OFFLINE",
  "TRANSFORMERS_OFFLINE",
  "HF_HUB_DISABLE_SYMLINKS",
  "HF_HUB_DISABLE_IMPLICIT_TOKEN",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
];

/** In memory where there is such a folder: downloads wait for the disk before they count. */
export const SCRATCH = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Bytes of a file; 0 where there is none. */
export const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** A hub with the repository and an empty cache. */
export class Bench {
  readonly hub: FakeHub;
  readonly folder: string;
  readonly warnings: string[] = [];

  private constructor(hub: FakeHub, folder: string) {
    this.hub = hub;
    this.folder = folder;
  }

  static async open(repo: FakeRepo = REPO): Promise<Bench> {
    for (const name of HUB_VARIABLES) delete process.env[name];
    const hub = await FakeHub.start();
    hub.add(REPO_ID, repo);
    return new Bench(hub, await mkdtemp(join(SCRATCH, "nvila-hub-")));
  }

  async close(): Promise<void> {
    await this.hub.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  get cacheDir(): string {
    return join(this.folder, "hub");
  }

  /** `models--org--name` in the cache. */
  get modelDir(): string {
    return join(this.cacheDir, "models--test-org--tiny-model");
  }

  /** Where an unfinished file lies. */
  partialPath(file: FakeFile): string {
    return join(this.modelDir, "blobs", `${tagOf(file)}.incomplete`);
  }

  pull(options: PullOptions = {}, hubId: string = REPO_ID): Promise<PulledModel> {
    return pullModel(hubId, {
      endpoint: this.hub.endpoint,
      cacheDir: this.cacheDir,
      token: null,
      timing: FAST,
      onWarning: (message) => this.warnings.push(message),
      ...options,
    });
  }

  /** Paths below a folder of the model in the cache, sorted. */
  async listed(folder = "."): Promise<string[]> {
    const root = join(this.modelDir, folder);
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .sort();
  }

  /** Names in blobs/ that are not finished files. */
  async leftovers(): Promise<string[]> {
    return (await this.listed("blobs")).filter((name) => !/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(name));
  }

  /** Compares every pulled file with what the hub holds. */
  async differing(model: PulledModel, repo: FakeRepo = REPO): Promise<string[]> {
    const wrong: string[] = [];
    for (const path of model.files) {
      const file = repo.files.find((one) => one.path === path);
      const content = await readFile(join(model.snapshotDir, path));
      if (file === undefined || !content.equals(file.content)) wrong.push(path);
    }
    return wrong;
  }
}

/** Whether a request was for the content of the weights. */
export const isWeights = (seen: Seen): boolean => seen.path.endsWith(`/content/${tagOf(WEIGHTS)}`);

/** What a reader would find: all refs, and of blobs and snapshot the weights. */
export async function visibleWeights(bench: Bench): Promise<string[]> {
  const [refs, blobs, files] = await Promise.all(
    ["refs", "blobs", `snapshots/${COMMIT}`].map((dir) => bench.listed(dir)),
  );
  return [
    ...refs,
    ...blobs.filter((name) => name === tagOf(WEIGHTS)),
    ...files.filter((path) => path === WEIGHTS.path),
  ];
}
