/** One call from an empty folder to a quantised model that answers; stopped in every part, killed in the middle, it ends with the same weights. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import { image } from "../../src/api/parts.ts";
import { FAMILY_NAMES } from "../../src/synth/families.ts";
import { type Recipe, readRecipe } from "../../src/trainer/recipe.ts";
import { readScores } from "../../src/trainer/stage-scores.ts";
import { type FromNothingOptions, trainFromNothing } from "../../src/trainer/train-from-nothing.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-nothing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tiny = readRecipe("tiny");
const COUNT = 6;
const STAGES = ["0-language", "0-where", "3-print", "4-image", "5-video"];
/** The recipe that ships, with a small world, a stage of each kind and two steps in each. */
const recipe: Recipe = {
  ...tiny,
  start: { model: "nvila-tiny", world: { count: COUNT, seed: 1 } },
  evaluate: { count: 1, seed: 1 },
  stages: tiny.stages
    .filter(({ name }) => STAGES.includes(name))
    .map((stage) => ({ ...stage, maxSteps: 2, globalBatch: 4, microBatch: 2, saveSteps: 1 })),
};

async function run(out: string, stop: (event: string) => boolean = () => false): Promise<string | null> {
  const controller = new AbortController();
  const look = (event: string): void => {
    if (stop(event)) controller.abort(new Error("stopped"));
  };
  const options: FromNothingOptions = {
    out: join(folder, out),
    threads: 2,
    decodeThreads: 0,
    signal: controller.signal,
    onStep: (stage, { step }) => look(`${stage} ${step}`),
    onWork: (what, done) => look(`${what} ${done}`),
  };
  return trainFromNothing(recipe, options).catch((error: unknown) => {
    if (!(error instanceof Error && error.message === "stopped")) throw error;
    return null;
  });
}

const weightsOf = (out: string): Buffer[] =>
  ["llm", "vision_tower", "mm_projector"].map((part) =>
    readFileSync(join(folder, out, "5-video/model", part, "model.safetensors")),
  );

describe("training from nothing", () => {
  it("runs all stages, scores each, and leaves a quantised model that answers", { timeout: 240_000 }, async () => {
    const final = await run("whole");
    expect(final).toBe(join(folder, "whole/final"));
    for (const { name } of recipe.stages) {
      const scores = readScores(join(folder, "whole", name));
      expect(scores?.tasks.map(({ task }) => task)).toEqual(readdirTasks());
      expect(existsSync(join(folder, "whole", name, "evaluation/report.html"))).toBe(true);
    }
    const report = readFileSync(join(folder, "whole/report.html"), "utf8");
    expect(report).toContain("What each stage brought");
    expect(report).toContain('href="4-image/evaluation/report.html"');
    expect(report.match(/<figure>/g)).toHaveLength(readdirTasks().length);
    expect(report.match(/<td>5-video<\/td><td>[✓✗]/g)).toHaveLength(readdirTasks().length);
    expect(report.replace(/data:[^"]*/g, "")).not.toMatch(/NaN|https?:|<script/); // pictures may spell anything
    const model = await loadModel(join(folder, "whole/final"), { onWarning: () => {} });
    const picture = readFileSync(join(folder, "whole/world/scenes-0/scenes/train/000000.png"));
    const { text } = await model.generate([image(picture), "How many objects are there?"], { maxTokens: 4 });
    expect(typeof text).toBe("string");
    model.close();
  });

  it("goes on where it was, to the same weights", { timeout: 240_000 }, async () => {
    const third = FAMILY_NAMES.indexOf("charts") * COUNT + 3; // pictures are counted through all families
    const stops = [`drawing charts ${third}`, "0-language 1", "4-image 1", "scoring 4-image: scenes 1"];
    for (const at of stops) expect(await run("stopped", (event) => event === at), at).toBeNull();
    // As a kill in the middle of drawing and of saving leaves it.
    mkdirSync(join(folder, "stopped/world/.scenes-0.partial-x"));
    mkdirSync(join(folder, "stopped/5-video/.checkpoint-1.partial-x"), { recursive: true });
    writeFileSync(join(folder, "stopped/5-video/.checkpoint-1.partial-x/config.json"), "{");
    expect(await run("stopped")).toBe(join(folder, "stopped/final"));
    expect(weightsOf("stopped").every((bytes, i) => bytes.equals(weightsOf("whole")[i]))).toBe(true);
    expect(await run("stopped")).toBe(join(folder, "stopped/final")); // all done: nothing happens
  });

  it("asks for a checkpoint and data when the recipe says nothing of a start", async () => {
    const options = { out: join(folder, "none") };
    await expect(trainFromNothing(readRecipe("paper"), options)).rejects.toThrow(/--model and --data/);
  });
});

function readdirTasks(): string[] {
  const names = readdirSync(join(folder, "whole/world")).flatMap((name) => /^(\w+)-0$/.exec(name)?.[1] ?? []);
  return ["documents", "charts", "scenes", "interfaces", "diagrams", "videos"].filter((task) => names.includes(task));
}
