/** Where models are found and what is said when they are not. */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel, openModel } from "../../src/api/load-model.ts";
import { ConfigError, DeviceError, RequestError } from "../../src/util/errors.ts";
import { temporaryFolder, tinyCheckpoint } from "./tiny-models.ts";

const quiet = { onWarning: (): void => {}, worker: false };

describe("loadModel", () => {
  it("loads a folder, and one that holds the checkpoint as `model`", async () => {
    const path = await tinyCheckpoint("lite");
    const model = await loadModel(path, quiet);
    expect(model.name).toBe("nvila-tiny-random-lite");
    expect((await model.generate("Hello", { maxTokens: 2 })).tokenIds.length).toBe(2);
    const outer = join(temporaryFolder(), "my-run");
    mkdirSync(outer);
    symlinkSync(path, join(outer, "model"));
    for (const place of [outer, join(outer, "model")]) expect((await loadModel(place, quiet)).name).toBe("my-run");
  });

  it("describes what it has loaded", async () => {
    const model = await loadModel(await tinyCheckpoint("s2"), { ...quiet, device: "reference" });
    const description = model.describe();
    expect(description).toMatchObject({
      name: "nvila-tiny-random-s2",
      family: "NVILA",
      layout: "native",
      contextLength: 8192,
      tiling: "dynamic S2: scales 112, 224, 336 px, at most 12 tiles in the last",
      vision: { layers: 3, layersUsed: 2, width: 64, tileSize: 112, patch: 14 },
      projector: { type: "mlp_downsample", tokensPerTile: 16 },
      llm: { layers: 3, width: 128, heads: 4, kvHeads: 2, vocabulary: 1908 },
      dtypes: ["f32"],
      memory: { kvCacheBytesAtContext: 3 * 2 * 2 * 32 * 4 * 8192 },
    });
    const { parameters, sizeBytes, memory } = description;
    // 1 + 4 tiles of the small scales and 12 of the last; 64 tokens, and the MLP at its widest.
    expect(memory.visionActivationBytes).toBe(17 * 64 * (5 * 64 + 2 * 128 + 64) * 4);
    expect(parameters.total).toBe(parameters.vision + parameters.projector + parameters.llm);
    expect(sizeBytes).toBeGreaterThan(parameters.total * 4);
    expect(sizeBytes).toBeLessThan(parameters.total * 4 * 1.1);
  });

  it("finds a hub id in the download cache, without the network", async () => {
    const cacheDir = temporaryFolder();
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const repo = join(cacheDir, "models--some-org--tiny");
    mkdirSync(join(repo, "snapshots"), { recursive: true });
    mkdirSync(join(repo, "refs"));
    writeFileSync(join(repo, "refs", "main"), commit);
    symlinkSync(await tinyCheckpoint("lite"), join(repo, "snapshots", commit));
    const options = { ...quiet, cacheDir, offline: true };
    expect((await loadModel("some-org/tiny", options)).name).toBe("some-org/tiny");
    renameSync(join(repo, "refs", "main"), join(repo, "refs", "v2"));
    expect((await loadModel("some-org/tiny", { ...options, revision: "v2" })).name).toBe("some-org/tiny");
    const missing = loadModel("some-org/other", options);
    await expect(missing).rejects.toThrow(RequestError);
    await expect(missing).rejects.toThrow(/there is no folder .*some-org.other, and as a hub id: .*not in the cache/);
  });

  it("says what it tried when there is neither", async () => {
    for (const name of ["./nowhere/at/all", "/nowhere", "just-a-name", "a/b/c"]) {
      await expect(loadModel(name)).rejects.toThrow(RequestError);
      await expect(loadModel(name)).rejects.toThrow(/expected a checkpoint folder or a hub id .*no folder \//);
    }
    const file = join(temporaryFolder(), "config.json");
    writeFileSync(file, "{}");
    await expect(loadModel(file)).rejects.toThrow(/expected a checkpoint folder, got a file/);
    for (const wrong of ["", null, 7]) await expect(loadModel(wrong as string)).rejects.toThrow(RequestError);
    await expect(loadModel(temporaryFolder())).rejects.toThrow(ConfigError);
  });

  it("takes overrides of the configuration, and refuses wrong ones", async () => {
    const path = await tinyCheckpoint("lite");
    const { config } = await openModel(path, { ...quiet, overrides: { max_tiles: 3, num_video_frames: 5 } });
    expect([config.image.maxTiles, config.video.numFrames]).toEqual([3, 5]);
    await expect(loadModel(path, { ...quiet, overrides: { max_tiles: "many" } })).rejects.toThrow(ConfigError);
  });

  it("takes limits, and refuses wrong ones", async () => {
    const path = await tinyCheckpoint("lite");
    const { limits } = await openModel(path, { maxConcurrent: 2, visionCacheBytes: 0 });
    expect(limits).toMatchObject({ maxConcurrent: 2, maxQueue: 1000, visionCacheBytes: 0 });
    expect(limits.kvMemoryBytes).toBeGreaterThan(0);
    for (const wrong of [
      { maxConcurrent: 0 },
      { maxQueue: -1 },
      { kvMemoryBytes: 0.5 },
      { visionCacheBytes: Number.NaN },
    ]) {
      await expect(openModel(path, wrong)).rejects.toThrow(new RegExp(`expected ${Object.keys(wrong)[0]} to be`));
    }
    using small = await loadModel(path, { kvMemoryBytes: 2 ** 16 });
    await expect(small.generate("x")).rejects.toThrow(/rows of the KV memory.*larger kvMemoryBytes/s);
    expect((await small.generate("x", { maxTokens: 2 })).tokenIds.length).toBe(2);
  });

  it("keeps keys and values as int8 where that is asked for", async () => {
    const path = await tinyCheckpoint("lite");
    const [exact, rounded] = [
      await loadModel(path, { ...quiet, kvMemoryBytes: 2 ** 20 }),
      await loadModel(path, { ...quiet, kvMemoryBytes: 2 ** 20, kvCache: "int8" }),
    ];
    const options = { maxTokens: 4, temperature: 1, seed: 5, logprobs: 0 };
    const question = "How many keys? ".repeat(30);
    const [a, b] = [await exact.generate(question, options), await rounded.generate(question, options)];
    expect(rounded.stats.blocks).toBeGreaterThan(2.5 * exact.stats.blocks); // heads of 16 have one scale each
    const memory = [exact, rounded].map((model) => model.describe().memory.kvCacheBytesAtContext);
    expect(memory[1]).toBeLessThan(0.4 * memory[0]);
    const [p, q] = [a, b].map(({ logprobs }) => logprobs?.[0].logprob ?? Number.NaN);
    expect(p).not.toBe(q); // it is rounded,
    expect(Math.abs(p - q)).toBeLessThan(0.05); // but not by much
    for (const wrong of [{ kvCache: "fp8" }, { int4Activations: "int4" }]) {
      await expect(loadModel(path, { ...quiet, ...wrong } as object)).rejects.toThrow(RequestError);
    }
  });

  it("rounds activations in front of int4 weights as it is told", async () => {
    const path = await tinyCheckpoint("lite");
    const firstLogprob = async (int4Activations?: "int8" | "int16" | "int24"): Promise<number> => {
      const quantize = { llm: "w4a16" } as const;
      const model = await loadModel(path, { ...quiet, quantize, ...(int4Activations ? { int4Activations } : {}) });
      const { logprobs } = await model.generate("How exact?", { maxTokens: 1, logprobs: 0 });
      return logprobs?.[0].logprob ?? Number.NaN;
    };
    const [usual, int8, int16, int24] = [
      await firstLogprob(),
      await firstLogprob("int8"),
      await firstLogprob("int16"),
      await firstLogprob("int24"),
    ];
    expect(usual).toBe(int8);
    expect(Math.abs(int16 - int24)).toBeLessThan(Math.abs(int8 - int24));
  });

  it("refuses devices that are not there, and stops when told to", async () => {
    const path = await tinyCheckpoint("lite");
    await expect(loadModel(path, { device: "tpu" as "cpu" })).rejects.toThrow(DeviceError);
    const reason = new Error("changed my mind");
    await expect(loadModel(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
