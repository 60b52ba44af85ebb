import { describe, expect, it } from "vitest";
import { type Marks, SHARE_WORDS, stepsToExtremes, VALUE_WORDS } from "../../src/synth/chart-questions.ts";
import { Dice } from "../../src/synth/dice.ts";
import { drawExample } from "../../src/synth/families.ts";

const MARKS: Marks = {
  labels: ["Ann", "Bo", "Cy", "Di"],
  values: [30, 75, 20, 55],
  where: " in 2022",
  words: VALUE_WORDS,
};

/** What a reader of the chart answers. */
function answerTo(question: string, { labels, values, words }: Marks): string {
  const size = (label: string): number => values[labels.indexOf(label)];
  const order = labels.toSorted((a, b) => size(b) - size(a));
  const extreme = (of: readonly string[]): string => (question.includes(words.most) ? of[0] : of[of.length - 1]);
  const [, number] = /^Which has a \w+ of (\d+)/.exec(question) ?? [];
  if (number !== undefined) return labels[values.indexOf(Number(number))];
  const [, place] = /^Which is the (\w+) label/.exec(question) ?? [];
  if (place !== undefined) return labels[["first", "second", "third", "fourth"].indexOf(place)];
  if (question.startsWith("What is the")) return `${size(extreme(order))}${words.unit}`;
  const [, asked] = /^Does (\w+) have/.exec(question) ?? [];
  if (asked !== undefined) return asked === extreme(order) ? "yes" : "no";
  const [, among] = /^Which of (.+) has/.exec(question) ?? [];
  return extreme(order.filter((label) => among.includes(label)));
}

describe("questions about charts", () => {
  it.each([MARKS, { ...MARKS, where: "", words: SHARE_WORDS }])("in steps from one mark to all", (marks) => {
    const kinds = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      for (const { question, answers, kind } of stepsToExtremes(new Dice(seed), marks)) {
        const [asked] = question.split("\n");
        expect(answers, asked).toEqual([answerTo(asked, marks)]);
        expect(asked.endsWith(`${marks.where}?`) || kind === "ordinal", asked).toBe(true);
        kinds.add(kind);
      }
    }
    expect([...kinds].sort()).toEqual(["among", "extreme", "found", "is extreme", "ordinal"]);
  });

  it("in steps in training only", () => {
    const kindsOf = (split: "train" | "validation" | "test"): Set<string> =>
      new Set(
        Array.from({ length: 40 }, (_, i) => drawExample("charts", split, 5, i).exchanges).flatMap((asked) =>
          asked.map(({ kind }) => kind),
        ),
      );
    expect(kindsOf("train")).toContain("among");
    for (const split of ["validation", "test"] as const) expect(kindsOf(split)).not.toContain("among");
  });
});
