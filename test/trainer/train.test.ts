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
import { readRecipe, recipeNames } from "../../src/trainer/recipe.ts";
import type { LoggedStep } from "../../src/trainer/train-stage.ts";
import { conversation, picture, recipe, SmallRuns, STAGE } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-train-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const runs = new SmallRuns(folder);
const { start } = runs;
const run = runs.run.bind(runs);
const weightsOf = runs.weights.bind(runs);
beforeAll(() =>
  runs.prepare({
    gone: [{ image: "gone.png", ...conversation("Which?", "none") }],
    wide: Array.from({ length: 4 }, () => picture("wide", "Which?")),
  }),
);

const bytesOf = (array: HostArray): Buffer => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

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
    const first = await run("resumed", recipe(), { stopAfter: 2 });
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

  it.each([
    ["with Muon", { optimizer: "muon" }],
    ["in bf16 beside f32 masters", { parameters: "bf16" }],
  ] as const)("%s too: it learns, and goes on to the same losses and the same bytes", async (name, own) => {
    const stage = recipe({ ...own, maxSteps: 12 });
    const { losses } = await run(name, stage);
    expect(losses[11]).toBeLessThan(losses[0] / 2);
    const first = await run(`${name}, resumed`, stage, { stopAfter: 5 });
    const second = await run(`${name}, resumed`, stage);
    expect([...first.losses, ...second.losses]).toEqual(losses);
    expect(weightsOf(`${name}, resumed`).every((bytes, i) => bytes.equals(weightsOf(name)[i]))).toBe(true);
  });

  it("leaves bf16 weights where it learnt in bf16, and says so in their configuration", async () => {
    await run("bf16", recipe({ parameters: "bf16", maxSteps: 1 }));
    const { weights, configs } = await openCheckpoint(join(folder, "bf16/all/model"));
    const { names } = weights.llm;
    expect(names.every((name) => weights.llm.info(name)?.dtype === "bf16")).toBe(true);
    expect(JSON.stringify(configs)).not.toContain("float32");
  });

  it("cuts pictures into as many tiles as a stage says, and so do the checkpoints that it leaves", async () => {
    await sharp({ create: { width: 80, height: 40, channels: 3, background: "red" } }).toFile(
      join(folder, "media/wide.png"),
    );
    const [few, many] = [1, 2].map((maxTiles) =>
      run(`tiles-${maxTiles}`, recipe({ mixture: "wide", maxTiles, maxSteps: 1 })),
    );
    expect((await few).steps[0].rows).toBeLessThan((await many).steps[0].rows);
    const { config } = await openModel(join(folder, "tiles-2/all/model"), { onWarning: () => {} });
    expect(config.image.maxTiles).toBe(2);
  });

  it("keeps parts that do not learn, to the bit", async () => {
    await run("projector", recipe({ tune: { vision: false, projector: true, llm: false }, maxSteps: 2 }));
    const changed = weightsOf("projector").map((bytes, i) => {
      return !bytes.equals(weightsOf(null)[i]);
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
    await run("other", recipe(), { stopAfter: 1 });
    await expect(run("other", recipe({ learningRate: 1e-3 }))).rejects.toThrow(/written by another recipe/);
    await expect(run("rounded", recipe(), { tf32: true })).rejects.toThrow(/--device cuda beside --tf32/);
    const elsewhere = { bf16: true, device: "reference" } as const;
    await expect(run("rounded", recipe(), elsewhere)).rejects.toThrow(/--device cpu beside --bf16/);
    await expect(run("unknown", recipe({ mixture: "clouds" }))).rejects.toThrow(/clouds/);
    await expect(run("none", { ...recipe(), stages: [{ ...STAGE, mixture: null }] })).rejects.toThrow(/--mixture/);
    cpSync(start, join(folder, "broken"), { recursive: true });
    const weights = join(folder, "broken/mm_projector/model.safetensors");
    const bytes = readFileSync(weights);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    writeFileSync(weights, bytes);
    await expect(run("nan", recipe(), { from: join(folder, "broken") })).rejects.toThrow(
      /on the samples colours\[\d+\]/,
    );
    expect(readdirSync(join(folder, "nan/all"))).toEqual([]);
  });
});

describe("recipes", () => {
  it.each(recipeNames())("%s can be read", (name) => {
    expect(readRecipe(name).stages.length).toBeGreaterThanOrEqual(4);
  });

  it("repeats a stage under names and seeds of its own", () => {
    const path = join(folder, "times.json");
    const [stage] = recipe().stages;
    writeFileSync(
      path,
      JSON.stringify({ ...recipe(), seed: 7, stages: [stage, { ...stage, name: "more", times: 3 }] }),
    );
    const { stages } = readRecipe(path);
    expect(stages.map(({ name, seed }) => [name, seed])).toEqual([
      [stage.name, undefined],
      ["more-1", 7],
      ["more-2", 8],
      ["more-3", 9],
    ]);
    expect(stages[3]).toEqual({ ...stages[0], name: "more-3", seed: 9 });
  });

  it("names what is wrong", () => {
    const path = join(folder, "bad.json");
    writeFileSync(path, JSON.stringify({ ...recipe({ globalBatch: 3 }) }));
    expect(() => readRecipe(path)).toThrow(/microBatch to divide globalBatch/);
    writeFileSync(path, JSON.stringify(recipe({ sees: "names", learns: "places" })));
    expect(() => readRecipe(path)).toThrow(/"sees": "pictures" in stage "all" .*which learns places/);
    writeFileSync(path, JSON.stringify({ ...recipe(), speed: 1 }));
    expect(() => readRecipe(path)).toThrow(/speed/);
    const [stage] = recipe().stages;
    writeFileSync(
      path,
      JSON.stringify({
        ...recipe(),
        stages: [
          { ...stage, name: "all-2" },
          { ...stage, times: 2 },
        ],
      }),
    );
    expect(() => readRecipe(path)).toThrow(/"all-2" twice/);
    expect(() => readRecipe("nothing")).toThrow(/paper, scripts-nvila, scripts-nvila-lite, tiny/);
  });
});
