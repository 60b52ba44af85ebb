/** The world of a run: every data set opens, its media are there, and each teaches what its name says. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrainingSample } from "../../src/data/training-sample.ts";
import { openMixture, readRegistry } from "../../src/loader/registry.ts";
import { FAMILY_NAMES } from "../../src/synth/families.ts";
import { drawWorld } from "../../src/trainer/draw-world.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-world-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const COUNT = 8;
let registry = "";
beforeAll(async () => {
  registry = await drawWorld(join(folder, "world"), { count: COUNT, seed: 5 });
}, 60_000);

const linesOf = (path: string): TrainingSample[] =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TrainingSample);
const samplesOf = (name: string): TrainingSample[] => {
  const { datasets } = JSON.parse(readFileSync(registry, "utf8")) as {
    datasets: Record<string, { data: string | string[] }>;
  };
  return [datasets[name].data].flat().flatMap((path) => linesOf(join(dirname(registry), path)));
};
const asked = ({ conversations }: TrainingSample): string[] =>
  conversations.filter(({ from }) => from === "human").map(({ value }) => value);

describe("the world of a run", () => {
  it("has data sets and mixtures that open", async () => {
    const opened = await readRegistry(registry);
    for (const name of ["drills", "drills-few", "where", "language", "echoes", "all", "lessons", "all-captions"]) {
      const mixture = await openMixture(opened, name, { globalBatch: 2, seed: 1 });
      await mixture.close();
    }
    for (const family of FAMILY_NAMES) expect(samplesOf(`${family}-questions`), family).toHaveLength(COUNT);
  });

  it.each(FAMILY_NAMES)("asks the same of %s with and without the caption, instructions once", (family) => {
    const lessons = samplesOf(`${family}-lessons`);
    for (const [i, sample] of samplesOf(`${family}-questions`).entries()) {
      const questions = asked(sample);
      expect(questions).toEqual(asked(lessons[i]).slice(0, -1));
      expect(asked(lessons[i]).at(-1)).toMatch(/^Describe the/);
      expect(questions[0]).toMatch(/^<(image|video)>\n/);
      expect(questions.filter((question) => question.endsWith("using a single word or phrase.")).length).toBeLessThan(
        2,
      );
      expect(sample.places?.length).toBeGreaterThan(0);
    }
  });

  it("drills what scenes and primers show, of pictures that are there", () => {
    const drills = samplesOf("drills");
    expect(drills).toHaveLength(COUNT);
    const few = samplesOf("drills-few");
    for (const sample of few) expect(sample.places?.length).toBeLessThanOrEqual(8);
    const where = samplesOf("where");
    expect(where.length).toBeGreaterThan(0); // none of a scene whose things are all alike
    for (const { conversations, places = [] } of where) {
      for (const { value } of conversations.filter(({ from }) => from === "gpt")) {
        const [, x, y] = /^<at (\S+) (\S+)>$/.exec(value) ?? [];
        expect(places.some((place) => place[0] === Number(x) && place[1] === Number(y))).toBe(true);
      }
    }
    for (const sample of [...drills, ...few, ...where]) {
      expect(existsSync(join(dirname(registry), sample.image as string))).toBe(true);
      expect(asked(sample)[0]).toMatch(/^<image>\n.*\?\nAnswer the question using a single word or phrase\.$/);
      expect(asked(sample).length).toBeGreaterThanOrEqual(1);
    }
  });
});
