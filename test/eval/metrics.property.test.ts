/** What must hold of the metrics whatever the answers are, and the two long prompts by their hashes. Needs no golden files. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anls, anlsClassic } from "../../src/eval/metrics/anls.ts";
import { bleu } from "../../src/eval/metrics/bleu.ts";
import { levenshtein, levenshteinRatio } from "../../src/eval/metrics/edit-distance.ts";
import { CONTRACTIONS } from "../../src/eval/metrics/evalai-contractions.ts";
import { normaliseVqaAnswer } from "../../src/eval/metrics/evalai-normaliser.ts";
import { expertCards, firstMedicalPrompt } from "../../src/eval/metrics/medical-cards.ts";
import { navigationFrames } from "../../src/eval/metrics/navigation-actions.ts";
import { navigationMetrics, normalisedTimeWarping } from "../../src/eval/metrics/navigation-metrics.ts";
import { isRelaxedCorrect } from "../../src/eval/metrics/relaxed-accuracy.ts";
import { rougeL } from "../../src/eval/metrics/rouge-l.ts";
import { parsePredictedSpan, temporalIou } from "../../src/eval/metrics/temporal.ts";
import { textVqaAccuracy } from "../../src/eval/metrics/vqa-accuracy.ts";
import { decodeTimeTokens, encodeTimeTokens } from "../../src/preprocess/time-tokens.ts";

const text = fc.string({ unit: "grapheme", maxLength: 14 });
const options = { numRuns: 300, seed: 11 };
const isShare = (value: number): boolean => value >= 0 && value <= 1 + 1e-9;

describe("metrics", () => {
  it("are shares, and whole for the right answer", () => {
    fc.assert(
      fc.property(text, fc.array(text, { minLength: 1, maxLength: 4 }), (answer, references) => {
        expect(
          [anls(references, answer), anlsClassic(references, answer), rougeL({ hypothesis: answer, references })].every(
            isShare,
          ),
        ).toBe(true);
        expect(anls([...references, answer], answer)).toBe(1);
        expect(isRelaxedCorrect(answer, answer) || /nan/i.test(answer)).toBe(true);
        expect(bleu([{ hypothesis: answer, references: [...references, answer] }]).corpus.every(isShare)).toBe(true);
      }),
      options,
    );
  });

  it("edit distance is one", () => {
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        expect(levenshtein(a, b)).toBe(levenshtein(b, a));
        expect(levenshtein(a, b) === 0).toBe(a === b);
        expect(levenshtein(a, c)).toBeLessThanOrEqual(levenshtein(a, b) + levenshtein(b, c));
        expect(isShare(levenshteinRatio(a, b))).toBe(true);
      }),
      options,
    );
  });

  it("VQA accuracy does not depend on the annotators' order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("red", "Red.", "two", "2", "a dog"), { minLength: 10, maxLength: 10 }),
        (answers) => {
          expect(textVqaAccuracy([...answers].reverse(), "red")).toBeCloseTo(textVqaAccuracy(answers, "red"), 12);
        },
      ),
      options,
    );
    const matching = (m: number): string[] => Array.from({ length: 10 }, (_, i) => (i < m ? "yes" : `no ${i}`));
    for (const [m, score] of [
      [0, 0],
      [1, 0.3],
      [2, 0.6],
      [3, 0.9],
      [4, 1],
      [10, 1],
    ]) {
      expect(textVqaAccuracy(matching(m), "yes")).toBeCloseTo(score, 12);
    }
    expect([CONTRACTIONS.size, normaliseVqaAnswer("St. Louis"), normaliseVqaAnswer("1,000")]).toEqual([
      120,
      "st louis",
      "1000",
    ]);
  });

  it("time tokens keep their number, and times to half a step", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99 }), fc.double({ min: 5, max: 4000, noNaN: true }), (k, duration) => {
        const time = { duration, numTimeTokens: 100 };
        expect(encodeTimeTokens(decodeTimeTokens(`<t${k}>`, time), time)).toBe(`<t${k}>`);
        const seconds = (duration * k) / 137;
        const back = decodeTimeTokens(encodeTimeTokens(`<${seconds.toFixed(4)}>`, time), time);
        expect(Math.abs(Number(back.slice(1, -1)) - seconds)).toBeLessThanOrEqual(duration / 198 + 0.0051);
      }),
      options,
    );
  });

  it("spans lie in the video and overlap themselves wholly", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("<", ">", "1", "7", ".", " "), maxLength: 20 }), (answer) => {
        const [start, end] = parsePredictedSpan(answer, 50);
        expect(start >= 0 && start <= end && end <= 50).toBe(true);
        expect(temporalIou([start, end], [start, end])).toBe(start === end ? 0 : 1);
      }),
      options,
    );
  });

  it("navigation: frames from first to current, a path equals itself, SPL within success", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.constantFrom(8, 16, 64), (observed, frames) => {
        const shown = navigationFrames(observed, frames);
        expect(shown).toEqual([...shown].sort((a, b) => a - b));
        expect(shown[shown.length - 1]).toBe(observed - 1);
        if (observed >= frames) expect(shown[0]).toBe(0);
      }),
      options,
    );
    const point = fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(point, { minLength: 2, maxLength: 12 }), fc.boolean(), (path, hasStopped) => {
        expect(normalisedTimeWarping(path, path)).toBeCloseTo(1, 9);
        const metrics = navigationMetrics({
          referencePath: path,
          positions: path,
          actions: path.slice(1).map((_, i) => (hasStopped && i === path.length - 2 ? 0 : 1)),
          distanceToGoal: path.map((_, i) => path.length - 1 - i),
        });
        expect(metrics.spl).toBeLessThanOrEqual(metrics.success + 1e-12);
        expect(metrics.success).toBe(hasStopped ? 1 : 0);
      }),
      options,
    );
  });

  it("medical cards, by their hash", () => {
    expect(expertCards().length).toBe(1373);
    const hash = createHash("sha256").update(expertCards()).digest("hex");
    expect(hash).toBe("c0e10e631e87a7da0873be4f94e5aa560529f751638016cb37347ebd3a6945b6");
    expect(
      firstMedicalPrompt("What is this?", "CT").endsWith("model.\n<image>This is a CT image.\nWhat is this?"),
    ).toBe(true);
    expect(firstMedicalPrompt("<image> What?", "Unknown").endsWith("model.\n<image> What?")).toBe(true);
  });
});
