/** Contrastive pre-training: pictures and texts that belong together find each other, and a stage that was stopped goes on with its heads. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Recipe, Stage } from "../../src/trainer/recipe.ts";
import { COLOURS, conversation, picture, recipe, SmallRuns } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-contrast-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const runs = new SmallRuns(folder);
const FOUR = Object.keys(COLOURS);
beforeAll(() =>
  runs.prepare({
    pairs: Array.from({ length: 16 }, (_, i) => picture(FOUR[i % 4], "Describe.")),
    words: [conversation("Say yes.", "yes")],
  }),
);

/** Four pairs at a time. */
const pairs = (own: Partial<Stage> = {}): Recipe =>
  recipe({
    tune: { vision: true, projector: false, llm: true },
    learns: "contrast",
    mixture: "pairs",
    microBatch: 4,
    epochs: 12,
    saveSteps: 100,
    ...own,
  });

describe("contrastive pre-training", () => {
  it("brings pictures and their texts together, and trains tower and language model but not the projector", async () => {
    const { steps } = await runs.run("whole", pairs());
    expect(steps).toHaveLength(48);
    expect(steps[0].tokens).toBe(4);
    const [first, last] = [steps[0].loss, steps.slice(-8).reduce((sum, { loss }) => sum + loss, 0) / 8];
    // The bias of −10 makes every pair look wrong: about 10 per picture at first.
    expect(first).toBeGreaterThan(5);
    // Telling nothing apart, with the best bias, costs 4 log 4 − 3 log 3 = 2.25 per picture.
    expect(last).toBeLessThan(1.5);
    const [llm, vision, projector] = runs.weights("whole").map((bytes, i) => bytes.equals(runs.weights(null)[i]));
    expect({ llm, vision, projector }).toEqual({ llm: false, vision: false, projector: true });
  });

  it("stopped, it goes on to the same losses and the same bytes, heads included", async () => {
    const whole = await runs.run("straight", pairs({ epochs: 2 }));
    const first = await runs.run("resumed", pairs({ epochs: 2 }), { stopAfter: 3 });
    const second = await runs.run("resumed", pairs({ epochs: 2 }));
    expect([...first.losses, ...second.losses]).toEqual(whole.losses);
    expect(runs.weights("resumed").every((bytes, i) => bytes.equals(runs.weights("straight")[i]))).toBe(true);
  });

  it("has nothing to learn from samples without a picture", async () => {
    const { steps } = await runs.run("words", pairs({ mixture: "words", globalBatch: 1, microBatch: 1, epochs: 2 }));
    expect(steps.map(({ tokens, loss }) => [tokens, loss])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});
