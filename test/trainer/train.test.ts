/**
 * A run from a checkpoint to a checkpoint on a small data set of its own: losses fall, the result opens; a run that was stopped, or killed
 * while it saved, goes on with the same losses to the same weights; bad data and bad numbers are told by name.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openModel } from "../../src/api/load-model.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { readRegistry } from "../../src/loader/registry.ts";
import { type Recipe, readRecipe, recipeNames, type Stage } from "../../src/trainer/recipe.ts";
import { train } from "../../src/trainer/train.ts";
import type { LoggedStep } from "../../src/trainer/train-stage.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-train-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const start = join(folder, "start");
const COLOURS = { red: [220, 20, 20], green: [20, 200, 20], blue: [20, 20, 220] } as const;

const STAGE: Stage = {
  name: "all",
  tune: { vision: true, projector: true, llm: true },
  learningRate: 3e-3,
  globalBatch: 4,
  microBatch: 2,
  maxLength: 512,
  mixture: "colours",
  epochs: 8,
  warmupRatio: 0.03,
  schedule: "cosine",
  parameters: "f32",
  optimizer: "adamw",
  weightDecay: 0,
  maxGradientNorm: 1,
  activations: "keep",
  saveSteps: 3,
  learns: "answers",
  labelMode: "span",
  softStd: 1,
};
const recipe = (stage: Partial<Stage> = {}): Recipe => ({
  name: "test",
  source: "",
  seed: 7,
  stages: [{ ...STAGE, ...stage }],
});

beforeAll(async () => {
  await writeRandomCheckpoint("nvila-tiny-random-lite", start, { dtype: "f32", seed: 1 });
  mkdirSync(join(folder, "media"));
  const lines: string[] = [];
  for (const [name, [r, g, b]] of Object.entries(COLOURS)) {
    const png = sharp({ create: { width: 40, height: 40, channels: 3, background: { r, g, b } } }).png();
    writeFileSync(join(folder, `media/${name}.png`), await png.toBuffer());
    for (let i = 0; i < 4; i++) {
      const conversations = [
        { from: "human", value: "<image>\nWhich colour?" },
        { from: "gpt", value: name },
      ];
      lines.push(JSON.stringify({ id: `${name}-${i}`, image: `${name}.png`, conversations }));
    }
  }
  writeFileSync(join(folder, "colours.jsonl"), lines.join("\n"));
  const conversations = [
    { from: "human", value: "Which?" },
    { from: "gpt", value: "none" },
  ];
  writeFileSync(join(folder, "gone.jsonl"), JSON.stringify({ image: "gone.png", conversations }));
  writeFileSync(
    join(folder, "registry.json"),
    JSON.stringify({
      datasets: {
        colours: { data: "colours.jsonl", mediaDir: "media" },
        gone: { data: "gone.jsonl", mediaDir: "media" },
      },
    }),
  );
});

interface Run {
  readonly losses: number[];
  readonly warnings: string[];
}

async function run(out: string, own: Recipe, stopAfter = Number.POSITIVE_INFINITY, from = start): Promise<Run> {
  const controller = new AbortController();
  const losses: number[] = [];
  const warnings: string[] = [];
  const options = {
    from,
    out: join(folder, out),
    registry: await readRegistry(join(folder, "registry.json")),
    mixture: null,
    threads: 2,
    decodeThreads: 0,
    signal: controller.signal,
    onStep: (_: string, { step, loss }: LoggedStep) => {
      losses.push(loss);
      if (step >= stopAfter) controller.abort(new Error("stopped"));
    },
    onWarning: (message: string) => void warnings.push(message),
  };
  await train(own, options).catch((error: unknown) => {
    if (!(error instanceof Error && error.message === "stopped")) throw error;
  });
  return { losses, warnings };
}

const bytesOf = (array: HostArray): Buffer => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

function weightsOf(out: string): Buffer[] {
  return ["llm", "vision_tower", "mm_projector"].map((part) =>
    readFileSync(join(folder, out, "all/model", part, "model.safetensors")),
  );
}

describe("nvila train", () => {
  it("learns, and what it leaves is a complete checkpoint", async () => {
    const { losses } = await run("whole", recipe());
    expect(losses).toHaveLength(24);
    expect(losses[23]).toBeLessThan(losses[0] / 2);
    expect(readdirSync(join(folder, "whole/all")).sort()).toEqual(["log.jsonl", "model"]);
    const { model } = await openModel(join(folder, "whole/all/model"), { onWarning: () => {} });
    expect(model.llm.vocabularySize).toBeGreaterThan(0);
    const log = readFileSync(join(folder, "whole/all/log.jsonl"), "utf8").trim().split("\n");
    expect(log.map((line) => (JSON.parse(line) as LoggedStep).loss)).toEqual(losses);
    const steps = log.map((line) => JSON.parse(line) as LoggedStep);
    expect(steps.every(({ rows, paddedRows }) => paddedRows >= rows)).toBe(true);
    const report = readFileSync(join(folder, "whole/report.html"), "utf8");
    expect(report).toContain(`<td>24 of 24</td><td>${losses[0].toFixed(3)}</td>`);
    expect(report).not.toMatch(/NaN|https?:|<script/);
  });

  it("stopped or killed, it goes on to the same losses and the same bytes", async () => {
    const first = await run("resumed", recipe(), 2);
    expect(readdirSync(join(folder, "resumed/all")).sort()).toEqual(["checkpoint-2", "log.jsonl"]);
    // As a kill in the middle of saving and logging leaves it.
    mkdirSync(join(folder, "resumed/all/.checkpoint-3.partial-x"));
    writeFileSync(join(folder, "resumed/all/.checkpoint-3.partial-x/config.json"), "{");
    const log = join(folder, "resumed/all/log.jsonl");
    writeFileSync(log, `${readFileSync(log, "utf8")}{"step":3,"loss":1}\n{"step":4,"lo`);
    const second = await run("resumed", recipe());
    const whole = readFileSync(join(folder, "whole/all/log.jsonl"), "utf8").trim().split("\n");
    expect([...first.losses, ...second.losses]).toEqual(whole.map((line) => (JSON.parse(line) as LoggedStep).loss));
    expect(weightsOf("resumed").every((bytes, i) => bytes.equals(weightsOf("whole")[i]))).toBe(true);
    expect(existsSync(join(folder, "resumed/all/.checkpoint-3.partial-x"))).toBe(false);
  });

  it("with Muon too: it learns, and goes on to the same losses and the same bytes", async () => {
    const muon = recipe({ optimizer: "muon", maxSteps: 12 });
    const { losses } = await run("muon", muon);
    expect(losses[11]).toBeLessThan(losses[0] / 2);
    const first = await run("muon-resumed", muon, 5);
    const second = await run("muon-resumed", muon);
    expect([...first.losses, ...second.losses]).toEqual(losses);
    expect(weightsOf("muon-resumed").every((bytes, i) => bytes.equals(weightsOf("muon")[i]))).toBe(true);
  });

  it("in bf16 it learns beside f32 masters, leaves bf16, and goes on to the same bytes", async () => {
    const own = recipe({ parameters: "bf16", maxSteps: 12 });
    const { losses } = await run("bf16", own);
    expect(losses[11]).toBeLessThan(losses[0] / 2);
    const first = await run("bf16-resumed", own, 5);
    const second = await run("bf16-resumed", own);
    expect([...first.losses, ...second.losses]).toEqual(losses);
    expect(weightsOf("bf16-resumed").every((bytes, i) => bytes.equals(weightsOf("bf16")[i]))).toBe(true);
    const { weights, configs } = await openCheckpoint(join(folder, "bf16/all/model"));
    const { names } = weights.llm;
    expect(names.every((name) => weights.llm.info(name)?.dtype === "bf16")).toBe(true);
    expect(JSON.stringify(configs)).not.toContain("float32");
  });

  it("keeps parts that do not learn, to the bit", async () => {
    await run("projector", recipe({ tune: { vision: false, projector: true, llm: false }, maxSteps: 2 }));
    const changed = weightsOf("projector").map((bytes, i) => {
      const part = ["llm", "vision_tower", "mm_projector"][i];
      return !bytes.equals(readFileSync(join(start, part, "model.safetensors")));
    });
    const values = await Promise.all([openCheckpoint(start), openCheckpoint(join(folder, "projector/all/model"))]);
    for (const part of ["llm", "vision"] as const) {
      for (const name of values[0].weights[part].names) {
        const [old, now] = values.map((files) => files.weights[part].data(name));
        expect(bytesOf(old).equals(bytesOf(now)), name).toBe(true);
      }
    }
    expect(changed[2]).toBe(true);
  });

  it("learns all text where a stage says so", async () => {
    await run("text", recipe({ learns: "text", maxSteps: 2 }));
    const tokens = (out: string): number[] =>
      readFileSync(join(folder, out, "all/log.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as LoggedStep).tokens);
    expect(tokens("text")[1]).toBeGreaterThan(3 * tokens("whole")[1]);
  });

  it("leaves samples without their media out, and says which", async () => {
    const { warnings, losses } = await run("gone", recipe({ mixture: "colours+gone", epochs: 1 }));
    expect(warnings.some((warning) => warning.includes("left out gone[0]"))).toBe(true);
    expect(losses.every(Number.isFinite)).toBe(true);
  });

  it("refuses to go on with another recipe, an unknown mixture, and numbers that are none", async () => {
    await run("other", recipe(), 1);
    await expect(run("other", recipe({ learningRate: 1e-3 }))).rejects.toThrow(/written by another recipe/);
    await expect(run("unknown", recipe({ mixture: "clouds" }))).rejects.toThrow(/clouds/);
    await expect(run("none", { ...recipe(), stages: [{ ...STAGE, mixture: null }] })).rejects.toThrow(/--mixture/);
    cpSync(start, join(folder, "broken"), { recursive: true });
    const weights = join(folder, "broken/mm_projector/model.safetensors");
    const bytes = readFileSync(weights);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    writeFileSync(weights, bytes);
    await expect(run("nan", recipe(), 9, join(folder, "broken"))).rejects.toThrow(/on the samples colours\[\d+\]/);
    expect(readdirSync(join(folder, "nan/all"))).toEqual([]);
  });
});

describe("recipes", () => {
  it.each(recipeNames())("%s can be read", (name) => {
    expect(readRecipe(name).stages.length).toBeGreaterThanOrEqual(4);
  });

  it("names what is wrong", () => {
    const path = join(folder, "bad.json");
    writeFileSync(path, JSON.stringify({ ...recipe({ globalBatch: 3 }) }));
    expect(() => readRecipe(path)).toThrow(/microBatch to divide globalBatch/);
    writeFileSync(path, JSON.stringify({ ...recipe(), speed: 1 }));
    expect(() => readRecipe(path)).toThrow(/speed/);
    expect(() => readRecipe("nothing")).toThrow(/paper, scripts-nvila, scripts-nvila-lite, tiny/);
  });
});
