/** Holds the metrics of short answers to the originals: ANLS, relaxed accuracy, VQA, exact match, MathVista, MMMU, judge verdicts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseJudgeVerdict } from "../../src/eval/metrics/activitynetqa-verdict.ts";
import { anls, anlsClassic } from "../../src/eval/metrics/anls.ts";
import { levenshtein, levenshteinRatio } from "../../src/eval/metrics/edit-distance.ts";
import { CONTRACTIONS } from "../../src/eval/metrics/evalai-contractions.ts";
import {
  normaliseVqaAnswer,
  tokeniseVqaAnswer,
  withoutArticles,
  withoutPunctuation,
} from "../../src/eval/metrics/evalai-normaliser.ts";
import {
  firstCharacter,
  isExactMatch,
  leadingLetter,
  numberWordToDigits,
  optionFromQuestion,
} from "../../src/eval/metrics/exact-match.ts";
import { extractMathVistaAnswer, normaliseMathVistaAnswer } from "../../src/eval/metrics/mathvista.ts";
import { parseMmmuChoice } from "../../src/eval/metrics/mmmu-choice.ts";
import {
  isOpenAnswerCorrect,
  normaliseOpenAnswer,
  numbersIn,
  parseOpenAnswer,
} from "../../src/eval/metrics/mmmu-open.ts";
import { mmmuPrompt, mmmuSubject } from "../../src/eval/metrics/mmmu-prompt.ts";
import { isRelaxedCorrect } from "../../src/eval/metrics/relaxed-accuracy.ts";
import { textVqaAccuracy, textVqaPrompt, vqav2Accuracy } from "../../src/eval/metrics/vqa-accuracy.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { expectClose, type Raises, readMetrics } from "./golden-metrics.ts";

describeGolden("short answers", (dir) => {
  it("ANLS in both forms, edit distance and ratio", () => {
    interface Case {
      references: string[];
      prediction: string | null;
      levenshtein?: number;
      lev_ratio?: number;
      anls: { out?: number };
      anls_classic?: { out?: number };
    }
    const { cases } = readMetrics<{ cases: Case[] }>(dir, "anls");
    expect(cases.length).toBe(116);
    for (const c of cases) {
      const label = JSON.stringify(c);
      if (c.prediction === null) continue; // no text: the type system keeps it out
      if (c.anls.out !== undefined) expectClose(anls(c.references, c.prediction), c.anls.out, label);
      if (c.anls_classic?.out !== undefined) {
        expectClose(anlsClassic(c.references, c.prediction), c.anls_classic.out, label);
      }
      if (c.levenshtein !== undefined) expect(levenshtein(c.references[0], c.prediction), label).toBe(c.levenshtein);
      if (c.lev_ratio !== undefined) expectClose(levenshteinRatio(c.references[0], c.prediction), c.lev_ratio, label);
    }
  });

  it("relaxed accuracy", () => {
    type Item = { type: string; answer: string; prediction: string };
    const golden = readMetrics<{
      cases: ({ prediction: string | null; target: string | null; out: boolean } & Raises)[];
      aggregates: {
        items: Item[];
        relaxed_overall: number;
        relaxed_human_split: number;
        relaxed_augmented_split: number;
      }[];
    }>(dir, "relaxed_accuracy");
    expect(golden.cases.length).toBe(475);
    for (const c of golden.cases) {
      if (c.prediction === null || c.target === null) continue;
      expect(isRelaxedCorrect(c.prediction, c.target), JSON.stringify(c)).toBe(c.out);
    }
    for (const a of golden.aggregates) {
      const rate = (items: Item[]): number =>
        items.filter((item) => isRelaxedCorrect(item.prediction, item.answer)).length / items.length;
      expectClose(rate(a.items), a.relaxed_overall, "overall");
      expectClose(rate(a.items.filter((i) => i.type === "human_test")), a.relaxed_human_split, "human");
      expectClose(rate(a.items.filter((i) => i.type !== "human_test")), a.relaxed_augmented_split, "augmented");
    }
  });

  it("EvalAI's normaliser, step by step", () => {
    const golden = readMetrics<{
      cases: { text: string | null; tokenised: string; punctuation: string; articles: string; normalised: string }[];
      contractions: { key: string; value: string; normalised_key: string }[];
    }>(dir, "evalai_normaliser");
    for (const c of golden.cases) {
      if (c.text === null) continue;
      const mine = {
        text: c.text,
        tokenised: tokeniseVqaAnswer(c.text),
        punctuation: withoutPunctuation(c.text),
        articles: withoutArticles(c.text),
        normalised: normaliseVqaAnswer(c.text),
      };
      expect(mine).toEqual(c);
    }
    expect(CONTRACTIONS.size).toBe(120);
    expect(golden.contractions.length).toBe(120);
    for (const c of golden.contractions) {
      expect(CONTRACTIONS.get(c.key), c.key).toBe(c.value);
      expect(normaliseVqaAnswer(c.key), c.key).toBe(c.normalised_key);
    }
  });

  it("accuracy against ten annotators", () => {
    type Case = { prediction: string; answers: string[]; accuracy: number; submission: string };
    const golden = readMetrics<{
      textvqa: (Case & { m4c_accuracy: number })[];
      vqav2: Case[];
      textvqa_prompts: { question: string; prompt: string }[];
    }>(dir, "vqa_accuracy");
    for (const c of golden.textvqa) {
      expectClose(textVqaAccuracy(c.answers, c.prediction), c.accuracy, JSON.stringify(c));
      expectClose(textVqaAccuracy(c.answers, c.prediction), c.m4c_accuracy, JSON.stringify(c));
      expect(normaliseVqaAnswer(c.prediction)).toBe(c.submission);
    }
    for (const c of golden.vqav2) expectClose(vqav2Accuracy(c.answers, c.prediction), c.accuracy, JSON.stringify(c));
    for (const c of golden.textvqa_prompts) expect(textVqaPrompt(c.question)).toBe(c.prompt);
  });

  it("exact match and its filters", () => {
    type Letters = Record<string, number>;
    const golden = readMetrics<{
      cases: {
        prediction: string;
        reference: string;
        ignore_case: boolean;
        ignore_punctuation: boolean;
        out: number;
      }[];
      ai2d: { response: string; filtered: string; correct_for: Letters }[];
      realworldqa: { question: string; response: string; after_number_words: string; filtered: string }[];
      seedbench: { response: string; prediction: { out?: string }; correct_for: Letters }[];
    }>(dir, "exact_match");
    for (const c of golden.cases) {
      const options = { ignoreCase: c.ignore_case, ignorePunctuation: c.ignore_punctuation };
      expect(Number(isExactMatch(c.prediction, c.reference, options)), JSON.stringify(c)).toBe(c.out);
    }
    for (const c of golden.ai2d) {
      expect(leadingLetter(c.response)).toBe(c.filtered);
      for (const [letter, right] of Object.entries(c.correct_for)) {
        const options = { ignoreCase: true, ignorePunctuation: true };
        expect(Number(isExactMatch(leadingLetter(c.response), letter, options)), JSON.stringify(c)).toBe(right);
      }
    }
    for (const c of golden.realworldqa) {
      expect(numberWordToDigits(c.response)).toBe(c.after_number_words);
      expect(optionFromQuestion(c.after_number_words, c.question), JSON.stringify(c)).toBe(c.filtered);
    }
    for (const c of golden.seedbench) {
      if (c.prediction.out === undefined) continue;
      expect(firstCharacter(c.response), JSON.stringify(c)).toBe(c.prediction.out);
      for (const [letter, right] of Object.entries(c.correct_for)) {
        expect(Number(firstCharacter(c.response).toLowerCase() === letter.toLowerCase())).toBe(right);
      }
    }
  });

  it("MMMU: open answers, prompts, subjects, verdicts", () => {
    type Meaning = string | number;
    interface Sample {
      id: string;
      subject: string;
      question_type: string;
      answer: string | string[];
      response: string;
      options?: string[];
    }
    const golden = readMetrics<{
      open: {
        response: string | null;
        gold: string | string[];
        parsed: Meaning[];
        numbers: string[];
        gold_normalised: Meaning[];
        correct: boolean;
      }[];
      prompts: { question: string; options: string; question_type: string; prompt: string; images: string[] }[];
      subjects: { id: string; subject: { out?: string } }[];
      aggregate: {
        samples: Sample[];
        per_subject: Record<string, { verdicts: Record<string, string> }>;
        overall: number;
      };
    }>(dir, "mmmu");
    const sorted = (values: Meaning[]): string[] => values.map((v) => `${typeof v} ${v}`).sort();
    for (const c of golden.open) {
      if (c.response === null) continue;
      const label = JSON.stringify(c);
      expect(sorted(parseOpenAnswer(c.response)), label).toEqual(sorted(c.parsed));
      expect(numbersIn(c.response), label).toEqual(c.numbers);
      const gold = typeof c.gold === "string" ? [c.gold] : c.gold;
      expect(sorted(gold.flatMap(normaliseOpenAnswer)), label).toEqual(sorted(c.gold_normalised));
      expect(isOpenAnswerCorrect(parseOpenAnswer(c.response), c.gold), label).toBe(c.correct);
    }
    for (const c of golden.prompts) expect(mmmuPrompt(c)).toEqual({ text: c.prompt, images: c.images });
    for (const c of golden.subjects) expect(mmmuSubject(c.id)).toBe(c.subject.out ?? null);
    for (const s of golden.aggregate.samples) {
      const isCorrect =
        s.question_type === "open"
          ? isOpenAnswerCorrect(parseOpenAnswer(s.response), s.answer)
          : s.answer.includes(parseMmmuChoice(s.response, s.options ?? []) ?? "?");
      const verdict = golden.aggregate.per_subject[s.subject].verdicts[s.id];
      expect(isCorrect ? "Correct" : "Wrong", JSON.stringify(s)).toBe(verdict);
    }
  });

  it("MathVista", () => {
    // The file tells a precision of 1 from one of 1.0, which JSON.parse does not.
    const text = readFileSync(join(dir, "metrics/mathvista.json"), "utf8");
    const golden = JSON.parse(text.replace(/"precision": (\d+)\.0/g, '"isFloat": true, "precision": $1')) as {
      normalise: {
        extraction: string;
        choices: string[];
        question_type: string;
        answer_type: string;
        precision: number | null;
        isFloat?: boolean;
        out: string | null;
      }[];
      rule_extraction: {
        response: string;
        choices: string[];
        question_type: string;
        answer_type: string;
        extraction: string | null;
      }[];
    };
    expect(golden.normalise.filter((c) => c.isFloat).length).toBeGreaterThan(10);
    for (const c of golden.normalise) {
      const precision = { decimals: c.precision, isFloat: c.isFloat === true };
      expect(normaliseMathVistaAnswer(c.extraction, c, precision), JSON.stringify(c)).toBe(c.out);
    }
    for (const c of golden.rule_extraction) {
      expect(extractMathVistaAnswer(c.response, c), JSON.stringify(c)).toBe(c.extraction);
    }
  });

  it("verdicts of ActivityNet-QA's judge", () => {
    const { cases } = readMetrics<{ cases: { review: string; parsed: [string, number] | null }[] }>(
      dir,
      "activitynetqa_verdicts",
    );
    for (const c of cases) {
      const mine = parseJudgeVerdict(c.review);
      expect(mine && [mine.verdict, mine.score], c.review).toEqual(c.parsed);
    }
  });
});
