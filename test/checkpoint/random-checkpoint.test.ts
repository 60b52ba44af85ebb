/** Random checkpoints: the published recipe, the shapes of released models, and files that are whole or absent. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createBackend } from "../../src/backend/registry.ts";
import { llmTensors, projectorTensors, visionTensors } from "../../src/checkpoint/preset-tensors.ts";
import { PRESET_NAMES, type PresetName, presetOf } from "../../src/checkpoint/presets.ts";
import { fillRandom, RecipeTensors, recipeKey, recipeSpread } from "../../src/checkpoint/random-recipe.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { elementCount } from "../../src/core/shape.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { NvilaModel } from "../../src/models/nvila/nvila-model.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { RequestError } from "../../src/util/errors.ts";
import { f32ToBf16, f32ToF16 } from "../../src/util/half.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { TemporaryFolder } from "./golden-checkpoints.ts";

const SEED = 20251128;
const TINY = PRESET_NAMES.filter((name) => name.includes("tiny-random"));
const temporary = new TemporaryFolder();
afterAll(() => temporary.remove());

/** A path in a folder of its own, not made yet, and that folder. */
function free(): { dir: string; parent: string } {
  const parent = temporary.next();
  return { dir: join(parent, "model"), parent };
}

describeGolden("recipe", (dir) => {
  const { recipe } = readGoldenJson<{
    recipe: { seed: number; first_values_check: Record<string, { first: number[]; last: number }> };
  }>(dir, "recipe/real_size.json");
  const shapes = new Map([
    ...visionTensors(presetOf("nvila-lite-2b").vision),
    ...llmTensors(presetOf("nvila-lite-2b").llm),
  ]);

  it.each(Object.entries(recipe.first_values_check))("makes the published values of %s", (name, { first, last }) => {
    expect(recipe.seed).toBe(SEED);
    const tensors = new RecipeTensors(shapes, { seed: SEED, dtype: "f32" });
    const start = new Float32Array(first.length);
    tensors.fill(name, 0, start);
    expect([...start]).toEqual(first);
    const end = new Float32Array(1);
    tensors.fill(name, elementCount(shapes.get(name)!) - 1, end);
    expect(end[0]).toBe(last);
  });
});

describe("random weights", () => {
  it("are the same in pieces and as a whole, rounded to nearest even", () => {
    const shapes = new Map([["a.weight", [3, 5000]]]);
    const whole = new RecipeTensors(shapes, { seed: 1, dtype: "f32" }).data("a.weight") as Float32Array;
    expect(Math.max(...whole.map(Math.abs))).toBeLessThanOrEqual(Math.fround(0.05));
    for (const dtype of ["f32", "bf16", "f16"] as const) {
      const all = new RecipeTensors(shapes, { seed: 1, dtype }).data("a.weight");
      const round = { f32: (x: number) => x, bf16: f32ToBf16, f16: f32ToF16 }[dtype];
      expect(all.every((value, i) => value === round(whole[i]))).toBe(true);
      const piece = all.slice(0, 4999);
      fillRandom(piece, dtype, recipeKey("a.weight", 1), 7777, recipeSpread("a.weight", [3, 5000]));
      expect(piece.every((value, i) => value === all[7777 + i])).toBe(true);
    }
  });

  it("differ by name, prefix and seed", () => {
    const shapes = new Map([
      ["a.weight", [4, 4]],
      ["b.weight", [4, 4]],
    ]);
    const first = (name: string, seed: number, hashPrefix = ""): number =>
      new RecipeTensors(shapes, { seed, dtype: "f32", hashPrefix }).data(name)[0];
    const values = [first("a.weight", 1), first("b.weight", 1), first("a.weight", 2), first("a.weight", 1, "x.")];
    expect(new Set(values).size).toBe(4);
  });
});

describe("presets", () => {
  it.each<[PresetName, number, number, number]>([
    // Published sizes: Qwen2 7.62 B with 152064 rows, 14.8 B, 1.54 B; SigLIP so400m 0.41 B without head.
    ["nvila-8b", 7.61e9, 0.413e9, 0.0624e9],
    ["nvila-15b", 14.77e9, 0.413e9, 0.097e9],
    ["nvila-lite-2b", 1.544e9, 0.413e9, 0.0435e9],
    ["nvila-lite-8b", 7.61e9, 0.413e9, 0.061e9],
    ["nvila-lite-15b", 14.77e9, 0.413e9, 0.0798e9],
    ["nvila-8b-video", 7.61e9, 0.413e9, 0.0294e9],
  ])("%s has the size of its model", (name, llm, vision, projector) => {
    const preset = presetOf(name);
    const count = (shapes: ReadonlyMap<string, readonly number[]>): number =>
      [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
    expect(count(llmTensors(preset.llm)) / llm).toBeCloseTo(1, 2);
    expect(count(visionTensors(preset.vision)) / vision).toBeCloseTo(1, 2);
    expect(count(projectorTensors(preset)) / projector).toBeCloseTo(1, 2);
  });
});

describe("writeRandomCheckpoint", () => {
  it.each(TINY)("writes %s, which opens and fits the model", async (name) => {
    const { dir, parent } = free();
    const progress: { bytesDone: number; bytesTotal: number }[] = [];
    const { sizeBytes } = await writeRandomCheckpoint(name, dir, { onProgress: (p) => progress.push(p) });
    expect(readdirSync(parent)).toEqual(["model"]);
    const files = await openCheckpoint(dir);
    expect(files).toMatchObject({ layout: "native", dtypes: ["bf16"], sizeBytes });
    expect(sizeBytes).toBeLessThan(5e6);
    expect(progress.at(-1)).toEqual({ bytesDone: progress[0].bytesTotal, bytesTotal: progress[0].bytesTotal });

    const config = parseNvilaConfig(files.configs);
    expect(config.family).toBe({ s2: "NVILA", lite: "NVILA-Lite", video: "NVILA-Video" }[name.split("-")[3]]);
    const tokens = createTokenizer(files.tokenizer);
    const backend = createBackend("reference", {}, () => {});
    const none = new Int32Array(0);
    const model = new NvilaModel(
      {
        llm: new Weights(files.weights.llm, backend),
        vision: new Weights(files.weights.vision, backend),
        projector: new Weights(files.weights.projector, backend),
      },
      config.model,
      {
        count: tokens.length,
        media: { image: tokens.imageId, video: tokens.videoId },
        imageEncoder: { start: none, end: none },
        videoEncoder: { start: none, end: none, sep: none },
      },
    );
    expect(model.llm.vocabularySize).toBe(Math.min(2048, tokens.length));
    const recipe = new RecipeTensors(projectorTensors(presetOf(name)), {
      seed: SEED,
      dtype: "bf16",
      hashPrefix: "mm_projector.",
    });
    const made = recipe.data("layers.2.weight");
    expect(files.weights.projector.data("layers.2.weight").every((value, i) => value === made[i])).toBe(true);
  });

  it("writes the same bytes again, in shards too", async () => {
    const [one, two] = [free(), free()];
    await writeRandomCheckpoint("nvila-tiny-random-lite", one.dir, { dtype: "f16", seed: 5 });
    mkdirSync(two.dir); // an empty folder is free
    await writeRandomCheckpoint("nvila-tiny-random-lite", two.dir, { dtype: "f16", seed: 5, maxShardBytes: 300_000 });
    expect(readdirSync(join(two.dir, "llm"))).toContain("model.safetensors.index.json");
    const [a, b] = [await openCheckpoint(one.dir), await openCheckpoint(two.dir)];
    for (const part of ["llm", "vision", "projector"] as const) {
      expect(b.weights[part].names).toEqual(a.weights[part].names);
      for (const name of a.weights[part].names) {
        const [x, y] = [a.weights[part].data(name), b.weights[part].data(name)] as [Uint16Array, Uint16Array];
        expect(x.length === y.length && x.every((value, i) => value === y[i]), name).toBe(true);
      }
    }
    expect(readFileSync(join(two.dir, "config.json"))).toEqual(readFileSync(join(one.dir, "config.json")));
  });

  it("refuses folders with content, files, and places that cannot be written", async () => {
    const { dir, parent } = free();
    mkdirSync(dir);
    writeFileSync(join(dir, "mine"), "x");
    const refused = async (path: string): Promise<string> => {
      const error = await writeRandomCheckpoint("nvila-tiny-random-s2", path).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RequestError);
      return (error as Error).message;
    };
    expect(await refused(dir)).toMatch(/does not exist or is empty, got .* with 1 entries/);
    expect(await refused(join(dir, "mine"))).toMatch(/does not exist or is empty, got/);
    expect(await refused(join(dir, "mine/below"))).toMatch(/cannot write .*(ENOTDIR|EEXIST)/);
    expect(readdirSync(parent)).toEqual(["model"]);
    expect(readdirSync(dir)).toEqual(["mine"]);
  });

  it("refuses a model that does not fit on the disk before it writes", async () => {
    const { dir, parent } = free();
    const stopped = new AbortController();
    // Either the disk is too small, or the first chunk stops it: nothing may stay in both cases.
    const result = writeRandomCheckpoint("nvila-15b", dir, {
      dtype: "f32",
      signal: stopped.signal,
      onProgress: () => stopped.abort(),
    });
    await expect(result).rejects.toThrow(/bytes free|aborted/);
    expect(readdirSync(parent)).toEqual([]);
  });

  it("leaves nothing behind when it is stopped or a callback throws", async () => {
    const { dir, parent } = free();
    const reason = new Error("enough");
    const controller = new AbortController();
    const stopped = writeRandomCheckpoint("nvila-tiny-random-s2", dir, {
      signal: controller.signal,
      onProgress: ({ bytesDone, bytesTotal }) => bytesDone > bytesTotal / 2 && controller.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    await expect(writeRandomCheckpoint("nvila-tiny-random-s2", dir, { signal: controller.signal })).rejects.toBe(
      reason,
    );
    const broken = writeRandomCheckpoint("nvila-tiny-random-s2", dir, {
      onProgress: () => {
        throw new Error("display is gone");
      },
    });
    await expect(broken).rejects.toThrow(/display is gone/);
    expect(existsSync(dir)).toBe(false);
    expect(readdirSync(parent)).toEqual([]);
  });
});
