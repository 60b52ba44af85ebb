/** Runs every `@example` of the public surface as it stands, in a folder that holds what the examples name. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import * as browserSafe from "../../src/index.ts";
import * as nvila from "../../src/node.ts";
import { noise, tinyCheckpoint } from "./tiny-models.ts";

const SRC = resolve(fileURLToPath(new URL("../../src", import.meta.url)));
const HUB_ID = "Efficient-Large-Model/NVILA-Lite-2B";

interface Example {
  readonly title: string;
  readonly code: string;
}

/** The examples in the doc comments of the files that an entry point re-exports, and of the entry point itself. */
function examplesOf(entry: string): Example[] {
  const text = readFileSync(join(SRC, entry), "utf8");
  const files = [entry, ...[...text.matchAll(/from "\.\/([^"]+)"/g)].map(([, file]) => file)];
  return files.flatMap((file) =>
    [
      ...readFileSync(join(SRC, file), "utf8").matchAll(/@example\n((?:[ \t]*\*(?!\/).*\n)+?)[ \t]*\*(?:\/|[ \t]*@)/g),
    ].map(([, body], i) => ({ title: `${file}, example ${i + 1}`, code: body.replace(/^[ \t]*\* ?/gm, "") })),
  );
}

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (...values: unknown[]) => Promise<void>;

describe("examples in the documentation", () => {
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), "nvila-examples-"));
  const examples = examplesOf("node.ts");

  beforeAll(async () => {
    const checkpoint = join(folder, "NVILA-Lite-2B");
    cpSync(await tinyCheckpoint("lite"), checkpoint, { recursive: true });
    // Random weights never stop by themselves: a small context ends answers without maxTokens.
    const config = join(checkpoint, "llm", "tokenizer_config.json");
    const { model_max_length: length, ...rest } = JSON.parse(readFileSync(config, "utf8")) as {
      model_max_length: number;
    };
    expect(length).toBe(4096);
    writeFileSync(config, JSON.stringify({ ...rest, model_max_length: 400 }));
    cpSync(checkpoint, join(folder, HUB_ID), { recursive: true });
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const repo = join(folder, "hub", `models--${HUB_ID.replace("/", "--")}`);
    mkdirSync(join(repo, "refs"), { recursive: true });
    writeFileSync(join(repo, "refs", "main"), commit);
    cpSync(checkpoint, join(repo, "snapshots", commit), { recursive: true });
    vi.stubEnv("HF_HUB_CACHE", join(folder, "hub"));
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const picture = noise(80, 60, 1);
    const file = sharp(new Uint8Array(picture.data), { raw: picture });
    for (const name of ["receipt.jpg", "photo.jpg", "poster.png"]) await file.clone().toFile(join(folder, name));
    const frames = new Uint8Array([...picture.data, ...noise(80, 60, 2).data]);
    await sharp(frames, { raw: { width: 80, height: 120, channels: 3, pageHeight: 60 } })
      .gif()
      .toFile(join(folder, "clip.gif"));
    process.chdir(folder);
  });

  afterAll(() => {
    process.chdir(before);
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are there for what users call first", () => {
    const titles = examples.map(({ title }) => title).join("\n");
    for (const file of ["node.ts", "api/load-model.ts", "api/nvila.ts", "api/parts.ts", "hub/pull-model.ts"]) {
      expect(titles).toContain(file);
    }
    expect(examples.filter(({ title }) => title.startsWith("api/nvila.ts")).length).toBe(3);
  });

  it.each(examples)("$title", async ({ code }) => {
    const model = await nvila.loadModel("./NVILA-Lite-2B", { onWarning: () => {} });
    const written: string[] = [];
    const names = {
      ...nvila,
      model,
      console: { log: (...values: unknown[]) => written.push(values.join(" ")) },
      process: { stdout: { write: (text: string) => written.push(text) } },
    };
    // A block of its own: examples may declare what others find.
    await new AsyncFunction(...Object.keys(names), `{\n${code}\n}`)(...Object.values(names));
    expect(written.length > 0).toBe(/console\.log|stdout/.test(code));
  });
});

describe("entry points", () => {
  it("are the same but for what needs Node", () => {
    const onlyInNode = Object.keys(nvila).filter((name) => !(name in browserSafe));
    expect(onlyInNode.sort()).toEqual(["Nvila", "loadModel", "pullModel", "quantizeCheckpoint"]);
    for (const [name, value] of Object.entries(browserSafe)) expect(nvila).toHaveProperty(name, value);
  });

  it("list the same types", () => {
    const types = (entry: string): string[] =>
      [...readFileSync(join(SRC, entry), "utf8").matchAll(/\btype (\w+)/g)].map(([, name]) => name);
    const inNode = new Set(types("node.ts"));
    expect(types("index.ts").filter((name) => !inNode.has(name))).toEqual([]);
  });
});
