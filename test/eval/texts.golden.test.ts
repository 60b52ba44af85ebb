/** Holds the metrics of texts and labels to the originals: BLEU, CIDEr, ROUGE, token overlap, label F1, time spans, Video-MME's prompts. */
import { expect, it } from "vitest";
import { bleu } from "../../src/eval/metrics/bleu.ts";
import { parseCheXpertAnswer } from "../../src/eval/metrics/chexpert-answer.ts";
import { cider } from "../../src/eval/metrics/cider.ts";
import { binaryF1, macroF1 } from "../../src/eval/metrics/label-f1.ts";
import type { CaptionItem } from "../../src/eval/metrics/ngrams.ts";
import { numberInWords } from "../../src/eval/metrics/number-words.ts";
import { rougeL } from "../../src/eval/metrics/rouge-l.ts";
import { type RougeScore, rougePackage } from "../../src/eval/metrics/rouge-package.ts";
import {
  parsePredictedSpan,
  parseReviewScores,
  parseSpan,
  type Span,
  spanScoresPerQuestion,
  spanScoresPerVideo,
  temporalIou,
} from "../../src/eval/metrics/temporal.ts";
import { normaliseMimicAnswer, pathVqaWords, tokenOverlap } from "../../src/eval/metrics/token-f1.ts";
import { parseSrt, selectSubtitles, subtitleFrames, videoMmePrompt } from "../../src/eval/metrics/videomme-prompt.ts";
import { decodeTimeTokens, encodeTimeTokens } from "../../src/preprocess/time-tokens.ts";
import { pythonFloatText } from "../../src/util/python-float.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { expectClose, readMetrics } from "./golden-metrics.ts";

describeGolden("texts and labels", (dir) => {
  it("BLEU, CIDEr and ROUGE-L of whole corpora", () => {
    interface Corpus {
      items: CaptionItem[];
      bleu: number[];
      bleu_per_item: number[][];
      cider: number;
      cider_per_item: number[];
      rouge_l: number;
      rouge_l_per_item: number[];
    }
    const { corpora } = readMetrics<{ corpora: Corpus[] }>(dir, "captions");
    expect(corpora.length).toBe(17);
    for (const [k, c] of corpora.entries()) {
      const { corpus, perItem } = bleu(c.items);
      c.bleu.forEach((value, n) => {
        expectClose(corpus[n], value, `corpus ${k} BLEU-${n + 1}`);
      });
      c.bleu_per_item.forEach((row, n) => {
        row.forEach((value, i) => {
          expectClose(perItem[n][i], value, `corpus ${k} item ${i} BLEU-${n + 1}`);
        });
      });
      const mine = cider(c.items);
      expectClose(mine.corpus, c.cider, `corpus ${k} CIDEr`);
      c.cider_per_item.forEach((value, i) => {
        expectClose(mine.perItem[i], value, `corpus ${k} item ${i} CIDEr`);
      });
      c.rouge_l_per_item.forEach((value, i) => {
        expectClose(rougeL(c.items[i]), value, `corpus ${k} item ${i} ROUGE-L`);
      });
      expectClose(
        c.items.reduce((sum, item) => sum + rougeL(item), 0) / c.items.length,
        c.rouge_l,
        `corpus ${k} ROUGE-L`,
      );
    }
  });

  it("ROUGE of the rouge package", () => {
    type Case = { hypothesis: string; reference: string; out?: Record<string, number[]> };
    const { rouge_package } = readMetrics<{ rouge_package: Case[] }>(dir, "captions");
    for (const c of rouge_package) {
      const mine = rougePackage(c.hypothesis, c.reference);
      if (c.out === undefined) {
        expect(mine, JSON.stringify(c)).toBeNull();
        continue;
      }
      const scores: Record<string, RougeScore | undefined> = {
        "rouge-1": mine?.rouge1,
        "rouge-2": mine?.rouge2,
        "rouge-l": mine?.rougeL,
      };
      for (const [name, [recall, precision, f]] of Object.entries(c.out)) {
        const label = `${name} of ${JSON.stringify(c)}`;
        expectClose(scores[name]?.recall ?? Number.NaN, recall, label);
        expectClose(scores[name]?.precision ?? Number.NaN, precision, label);
        expectClose(scores[name]?.f ?? Number.NaN, f, label);
      }
    }
  });

  it("overlap of words", () => {
    const golden = readMetrics<{
      pathvqa: { candidate: string; reference: string; words: Record<string, number>; f1: number; overlap: number }[];
      num2words_english: { number: number; words: string }[];
      mimic_vqa: {
        candidate: string;
        reference: string;
        candidate_normalised: string;
        reference_normalised: string;
        f1: number;
        precision: number;
        recall: number;
        overlap: number;
      }[];
    }>(dir, "token_f1");
    for (const c of golden.num2words_english) expect(numberInWords(BigInt(c.number))).toBe(c.words);
    for (const c of golden.pathvqa) {
      const label = JSON.stringify(c);
      const words = pathVqaWords(c.candidate);
      const counts = Object.fromEntries(words.map((w) => [w, words.filter((other) => other === w).length]));
      expect(counts, label).toEqual(c.words);
      const mine = tokenOverlap(words, pathVqaWords(c.reference));
      if (typeof c.f1 === "number") expectClose(mine.f1, c.f1, label);
      if (typeof c.overlap === "number") expectClose(mine.overlap, c.overlap, label);
    }
    for (const c of golden.mimic_vqa) {
      const label = JSON.stringify(c);
      expect(normaliseMimicAnswer(c.candidate), label).toBe(c.candidate_normalised);
      expect(normaliseMimicAnswer(c.reference), label).toBe(c.reference_normalised);
      const words = (text: string): string[] => text.split(" ").filter((w) => w !== "");
      const mine = tokenOverlap(words(c.candidate_normalised), words(c.reference_normalised));
      for (const key of ["f1", "precision", "recall", "overlap"] as const) expectClose(mine[key], c[key], label);
    }
  });

  it("F1 of labels", () => {
    type Labels = { truth: number[]; prediction: number[]; f1: number };
    const golden = readMetrics<{
      binary: Labels[];
      macro: { classes: Labels[]; macro_f1: number }[];
      chexpert_answer_extraction: { text: string; out?: number }[];
    }>(dir, "label_f1");
    for (const c of golden.binary) expectClose(binaryF1(c.truth, c.prediction), c.f1, JSON.stringify(c));
    for (const c of golden.macro) {
      expectClose(macroF1(c.classes), c.macro_f1, "macro");
      for (const one of c.classes) expectClose(binaryF1(one.truth, one.prediction), one.f1, "class");
    }
    for (const c of golden.chexpert_answer_extraction) expect(parseCheXpertAnswer(c.text), c.text).toBe(c.out ?? null);
  });

  it("time spans", () => {
    type Mean = { iou: number; "precision@0.5": number };
    const golden = readMetrics<{
      encode: { text: string; duration: number; num_time_tokens: number; encoded?: string }[];
      decode: { text: string; duration: number; num_time_tokens: number; decoded: string }[];
      parse: { text: string; duration: number; parsed: Span; strict: { out?: Span } }[];
      iou: { a: Span; b: Span; iou: number; precision_at_0_5: number }[];
      aggregate: {
        outputs: { vid: string; duration: number; target: string; output: string; category: string }[];
        per_video_then_mean: Mean;
        over_questions: Mean;
        categories: Record<string, Mean>;
      }[];
      lita_review_scores: { review: string; scores: [number, number] }[];
    }>(dir, "temporal");
    for (const c of golden.encode) {
      if (c.encoded === undefined) continue;
      const options = { duration: c.duration, numTimeTokens: c.num_time_tokens };
      expect(encodeTimeTokens(c.text, options), JSON.stringify(c)).toBe(c.encoded);
    }
    for (const c of golden.decode) {
      // Where the duration was a whole number, Python prints it without a point: a matter of its type, not of the token.
      const decoded = c.decoded.replaceAll(`<${c.duration}>`, `<${pythonFloatText(c.duration)}>`);
      const options = { duration: c.duration, numTimeTokens: c.num_time_tokens };
      expect(decodeTimeTokens(c.text, options), JSON.stringify(c)).toBe(decoded);
    }
    for (const c of golden.parse) {
      expect(parsePredictedSpan(c.text, c.duration), JSON.stringify(c)).toEqual(c.parsed);
      expect(parseSpan(c.text, c.duration), JSON.stringify(c)).toEqual(c.strict.out ?? null);
    }
    for (const c of golden.iou) {
      expectClose(temporalIou(c.a, c.b), c.iou, JSON.stringify(c));
      expect(Number(temporalIou(c.a, c.b) >= 0.5)).toBe(c.precision_at_0_5);
    }
    for (const a of golden.aggregate) {
      const outputs = a.outputs.map((o) => ({
        video: o.vid,
        category: o.category,
        iou: temporalIou(parsePredictedSpan(o.target, o.duration), parsePredictedSpan(o.output, o.duration)),
      }));
      const check = (mine: { iou: number; precisionAtHalf: number }, wanted: Mean, label: string): void => {
        expectClose(mine.iou, wanted.iou, label);
        expectClose(mine.precisionAtHalf, wanted["precision@0.5"], label);
      };
      check(spanScoresPerVideo(outputs), a.per_video_then_mean, "per video");
      check(spanScoresPerQuestion(outputs), a.over_questions, "per question");
      for (const [name, wanted] of Object.entries(a.categories)) {
        check(spanScoresPerQuestion(outputs.filter((o) => o.category === name)), wanted, name);
      }
    }
    for (const c of golden.lita_review_scores) expect(parseReviewScores(c.review), c.review).toEqual(c.scores);
  });

  it("Video-MME's prompts and subtitles", () => {
    const golden = readMetrics<{
      subtitles: {
        srt: string;
        fps: number;
        frame_count: number;
        num_frames: number;
        question: string;
        options: string[];
        intervals: [number, number][];
        selected: number[];
        prompt_ascending: string;
      }[];
      plain: { question: string; options: string[]; prompt: string };
    }>(dir, "videomme_prompt");
    for (const c of golden.subtitles) {
      const subtitles = parseSrt(c.srt);
      expect(subtitles.map((s) => subtitleFrames(s, c.fps))).toEqual(c.intervals);
      const sampling = { fps: c.fps, frameCount: c.frame_count, numFrames: c.num_frames };
      const selected = selectSubtitles(subtitles, sampling);
      expect(selected).toEqual(c.selected);
      const shown = selected.map((i) => subtitles[i]);
      expect(videoMmePrompt(c.question, c.options, shown)).toBe(c.prompt_ascending);
    }
    expect(videoMmePrompt(golden.plain.question, golden.plain.options, null)).toBe(golden.plain.prompt);
  });
});
