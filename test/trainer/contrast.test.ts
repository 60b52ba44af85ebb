/** Contrastive pre-training: pictures and texts that belong together find each other, and a stage that was stopped goes on with its heads. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { readRegistry } from "../../src/loader/registry.ts";
import type { Recipe } from "../../src/trainer/recipe.ts";
import { train } from "../../src/trainer/train.ts";
import type { LoggedStep } from "../../src/trainer/train-stage.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-contrast-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const COLOURS = { red: [220, 20, 20], green: [20, 200, 20], blue: [20, 20, 220], white: [250, 250, 250] } as const;
const NAMES = Object.keys(COLOURS) as (keyof typeof COLOURS)[];

beforeAll(async () => {
  await writeRandomCheckpoint("nvila-tiny-random-lite", join(folder, "start"), { dtype: "f32", seed: 1 });
  mkdirSync(join(folder, "media"));
  const conversation = (value: string, answer: string) => [
    { from: "human", value },
    { from: "gpt", value: answer },
  ];
  const lines: string[] = [];
  for (const name of NAMES) {
    const [r, g, b] = COLOURS[name];
    const png = sharp({ create: { width: 60, height: 40, channels: 3, background: { r, g, b } } }).png();
    writeFileSync(join(folder, `media/${name}.png`), await png.toBuffer());
  }
  for (let i = 0; i < 4; i++) {
    for (const name of NAMES) {
      lines.push(JSON.stringify({ image: `${name}.png`, conversations: conversation("<image>\nDescribe.", name) }));
    }
  }
  writeFileSync(join(folder, "colours.jsonl"), lines.join("\n"));
  writeFileSync(join(folder, "words.jsonl"), JSON.stringify({ conversations: conversation("Say yes.", "yes") }));
  const datasets = {
    colours: { data: "colours.jsonl", mediaDir: "media" },
    words: { data: "words.jsonl", mediaDir: "media" },
  };
  writeFileSync(join(folder, "registry.json"), JSON.stringify({ datasets }));
});

const recipe = (own: object = {}): Recipe => ({
  name: "test",
  source: "",
  seed: 7,
  stages: [
    {
      name: "pairs",
      tune: { vision: true, projector: false, llm: true },
      learningRate: 3e-3,
      globalBatch: 4,
      microBatch: 4,
      maxLength: 512,
      mixture: "colours",
      epochs: 12,
      warmupRatio: 0.03,
      schedule: "cosine",
      parameters: "f32",
      optimizer: "adamw",
      weightDecay: 0,
      maxGradientNorm: 1,
      activations: "keep",
      saveSteps: 100,
      learns: "contrast",
      labelMode: "span",
      softStd: 1,
      ...own,
    },
  ],
});

async function run(out: string, own: Recipe, stopAfter = Number.POSITIVE_INFINITY): Promise<LoggedStep[]> {
  const controller = new AbortController();
  const steps: LoggedStep[] = [];
  await train(own, {
    from: join(folder, "start"),
    out: join(folder, out),
    registry: await readRegistry(join(folder, "registry.json")),
    mixture: null,
    threads: 2,
    decodeThreads: 0,
    signal: controller.signal,
    onStep: (_, step) => {
      steps.push(step);
      if (step.step >= stopAfter) controller.abort(new Error("stopped"));
    },
  }).catch((error: unknown) => {
    if (!(error instanceof Error && error.message === "stopped")) throw error;
  });
  return steps;
}

const weightsOf = (out: string, part: string): Buffer =>
  readFileSync(join(folder, out, "pairs/model", part, "model.safetensors"));

describe("contrastive pre-training", () => {
  it("brings pictures and their texts together, and trains tower and language model but not the projector", async () => {
    const steps = await run("whole", recipe());
    expect(steps).toHaveLength(48);
    expect(steps[0].tokens).toBe(4);
    const [first, last] = [steps[0].loss, steps.slice(-8).reduce((sum, { loss }) => sum + loss, 0) / 8];
    // The bias of −10 makes every pair look wrong: about 10 per picture at first.
    expect(first).toBeGreaterThan(5);
    // Telling nothing apart, with the best bias, costs 4 log 4 − 3 log 3 = 2.25 per picture.
    expect(last).toBeLessThan(1.5);
    const start = (part: string): Buffer => readFileSync(join(folder, "start", part, "model.safetensors"));
    expect(weightsOf("whole", "vision_tower").equals(start("vision_tower"))).toBe(false);
    expect(weightsOf("whole", "llm").equals(start("llm"))).toBe(false);
    expect(weightsOf("whole", "mm_projector").subarray(-1000).equals(start("mm_projector").subarray(-1000))).toBe(true);
  });

  it("stopped, it goes on to the same losses and the same bytes, heads included", async () => {
    const whole = await run("straight", recipe({ epochs: 2 }));
    const first = await run("resumed", recipe({ epochs: 2 }), 3);
    const second = await run("resumed", recipe({ epochs: 2 }));
    expect([...first, ...second].map(({ loss }) => loss)).toEqual(whole.map(({ loss }) => loss));
    for (const part of ["llm", "vision_tower"]) {
      expect(weightsOf("resumed", part).equals(weightsOf("straight", part))).toBe(true);
    }
  });

  it("has nothing to learn from samples without a picture", async () => {
    const steps = await run("words", recipe({ mixture: "words", globalBatch: 1, microBatch: 1, epochs: 2 }));
    expect(steps.map(({ tokens, loss }) => [tokens, loss])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});
