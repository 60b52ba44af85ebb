/** Drills: questions of one kind about the things of a scene, whose answers follow from what is there and from nothing that was answered before. */
import { describe, expect, it } from "vitest";
import { Dice } from "../../src/synth/dice.ts";
import { drawDrills, drawPlaceDrills } from "../../src/synth/drills.ts";
import type { NamedThing } from "../../src/synth/thing-questions.ts";

const THINGS: NamedThing[] = [
  { colour: "red", shape: "circle", centre: { x: 0.1, y: 0.5 } },
  { colour: "blue", shape: "star", centre: { x: 0.5, y: 0.1 } },
  { colour: "red", shape: "star", centre: { x: 0.9, y: 0.8 } },
];

const RIGHT: Readonly<Record<string, string>> = {
  "What colour is the circle?": "red",
  "What shape is the blue object?": "star",
  "What shape is the leftmost object?": "circle",
  "How many objects are there?": "3",
  "How many circles are there?": "1",
  "How many stars are there?": "2",
  "How many red objects are there?": "2",
  "How many blue objects are there?": "1",
};

const RELATIONS: Readonly<Record<string, string>> = {
  "red circle blue star": "below left of",
  "blue star red circle": "above right of",
  "red circle red star": "left of",
  "red star red circle": "right of",
  "blue star red star": "above left of",
  "red star blue star": "below right of",
};

const drillsOf = (seed: number) => drawDrills(new Dice(seed), THINGS) ?? [];

describe("drills", () => {
  it("are answered rightly", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      for (const { question, answer } of drillsOf(seed)) {
        seen.add(question);
        const there = /^Is there an? (\w+ \w+)\?$/.exec(question);
        const relation = /^Is the (\w+ \w+) (left of|right of|above|below) the (\w+ \w+)\?$/.exec(question);
        if (there) expect(answer).toBe(["red circle", "blue star", "red star"].includes(there[1]) ? "yes" : "no");
        else if (relation) {
          const [, a, said, b] = relation;
          expect(answer, question).toBe(RELATIONS[`${a} ${b}`].includes(said) ? "yes" : "no");
        } else expect(answer, question).toBe(RIGHT[question]);
      }
    }
    for (const question of Object.keys(RIGHT)) expect(seen).toContain(question);
  });

  it("ask one kind of thing about a picture, each once and each pair once, as often about what is there as about what is not", () => {
    const kinds = new Map<string, number>();
    for (let seed = 0; seed < 400; seed++) {
      const questions = drillsOf(seed).map(({ question }) => question);
      expect(questions.length).toBeGreaterThanOrEqual(2);
      expect(new Set(questions).size).toBe(questions.length);
      const kind = new Set(
        questions.map((question) =>
          question.startsWith("Is there") ? "exist" : question.startsWith("Is the") ? "relation" : "look",
        ),
      );
      expect(kind.size, questions.join(" ")).toBe(1);
      if (questions.some((question) => question.includes("What colour")))
        expect(questions.some((question) => question.includes("What shape"))).toBe(false);
      if (kind.has("relation")) {
        const pairs = questions.map((question) => (question.match(/(red|blue) (circle|star)/g) ?? []).sort().join());
        expect(new Set(pairs).size).toBe(pairs.length);
      }
      kinds.set([...kind][0], (kinds.get([...kind][0]) ?? 0) + 1);
    }
    expect(Math.min(...["exist", "relation", "look"].map((kind) => kinds.get(kind) ?? 0))).toBeGreaterThan(40);
    const said = Array.from({ length: 400 }, (_, seed) => drillsOf(seed))
      .flat()
      .filter(({ question }) => question.startsWith("Is there"));
    const yes = said.filter(({ answer }) => answer === "yes").length / said.length;
    expect(yes).toBeGreaterThan(0.35);
    expect(yes).toBeLessThan(0.55);
  });

  it("are the same from a seed, and none where there is nothing to ask", () => {
    expect(drillsOf(7)).toEqual(drillsOf(7));
    for (const draw of [drawDrills, drawPlaceDrills]) {
      expect(draw(new Dice(1), THINGS.slice(0, 1))).toBe(null);
      expect(draw(new Dice(1), [])).toBe(null);
      expect(draw(new Dice(1), [THINGS[0], THINGS[0]])).toEqual(draw === drawDrills ? expect.any(Array) : null);
    }
  });

  it("ask where each thing is by the fewest words that mean one thing", () => {
    const asked = drawPlaceDrills(new Dice(3), THINGS) ?? [];
    expect(Object.fromEntries(asked.map(({ question, answer }) => [question, answer]))).toEqual({
      "Where is the circle?": "<at 0.1 0.5>",
      "Where is the blue object?": "<at 0.5 0.1>",
      "Where is the blue star?": "<at 0.5 0.1>",
      "Where is the red star?": "<at 0.9 0.8>",
    });
  });
});
