/** Stages that learn what visual tokens show: on a model whose language part stands still, and beside answers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { picture, recipe, SmallRuns } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-places-"));
const runs = new SmallRuns(folder);
const places = [[0.5, 0.5, "X"]];

beforeAll(async () => {
  const samples = ["red", "green", "blue"].flatMap((name) =>
    Array.from({ length: 4 }, () => ({
      ...picture(name, "Which colour?"),
      places: [[0.5, 0.5, name[0]]],
    })),
  );
  const other = { ...picture("red", "Which?"), places: [...places, ...places], image: ["red.png", "blue.png"] };
  await runs.prepare({ named: samples, mixed: [...samples, other, picture("white", "Which colour?")] });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("places", () => {
  it("teaches tower and projector alone to name what they show, and leaves the language model as it was", async () => {
    const stage = { learns: "places", mixture: "named", tune: { vision: true, projector: true, llm: false } } as const;
    const { losses, steps } = await runs.run("alone", recipe({ ...stage, epochs: 12 }));
    expect(steps[0].tokens).toBe(4 * (9 * 3 + 1)); // four pictures of 3 × 3 tokens: what ends their names, column, line; and one name
    expect(steps[0].answerLoss).toBeNull();
    expect(losses[losses.length - 1]).toBeLessThan(losses[0] * 0.8); // the random head is short, and four of its rows share a token: none can be certain
    const [llm, tower, projector] = runs.weights("alone");
    const [llmBefore, towerBefore, projectorBefore] = runs.weights(null);
    expect(llm.equals(llmBefore)).toBe(true);
    expect([tower.equals(towerBefore), projector.equals(projectorBefore)]).toEqual([false, false]);
  });

  it("is learnt beside answers; samples without places or with several pictures are left out of a stage of places", async () => {
    const beside = await runs.run("beside", recipe({ mixture: "named", epochs: 1 }));
    const without = await runs.run("without", recipe({ mixture: "colours", epochs: 1 }));
    expect(beside.steps[0].tokens).toBeGreaterThan(without.steps[0].tokens);
    expect([beside.steps[0].answerLoss, without.steps[0].answerLoss]).toEqual([expect.any(Number), null]);
    expect(beside.steps[0].answerLoss).not.toBeCloseTo(beside.steps[0].loss, 3);
    const { warnings, steps } = await runs.run("left-out", recipe({ mixture: "mixed", learns: "places", epochs: 1 }));
    expect(warnings.filter((line) => /nothing of its places is left/.test(line)).length).toBe(2);
    expect(steps[steps.length - 1].skipped).toEqual({ broken: 0, empty: 2 });
  });

  it("answers from the names alone, without tower and projector", async () => {
    const stage = { sees: "names", mixture: "named", epochs: 12 } as const;
    const { steps } = await runs.run("names", recipe(stage));
    const { answerLoss: first } = steps[0];
    const { answerLoss: last } = steps[steps.length - 1];
    expect(last).toBeLessThan((first as number) * 0.5);
    const [, tower, projector] = runs.weights("names");
    const [llm, towerBefore, projectorBefore] = runs.weights(null);
    expect([tower.equals(towerBefore), projector.equals(projectorBefore)]).toEqual([true, true]);
    expect(runs.weights("names")[0].equals(llm)).toBe(false);
    const { warnings } = await runs.run("unnamed", recipe({ sees: "names", mixture: "mixed", epochs: 1 }));
    expect(warnings.filter((line) => /it does not say what its media show/.test(line)).length).toBe(2);
  });
});
