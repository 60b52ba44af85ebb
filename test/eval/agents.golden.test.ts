/** Holds the metrics of acting models to the originals: robots (NaVILA), telephones (AITZ), medical experts (VILA-M3). */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import {
  type AitzAction,
  aitzAtomicScores,
  aitzEpisodeScores,
  type Box,
  boxIou,
  parseAitzAction,
  scoreAitzStep,
} from "../../src/eval/metrics/aitz.ts";
import {
  cxrText,
  type DialogueMessage,
  expertTags,
  guessModality,
  mergeExpertMessages,
  needsSecondGeneration,
  sliceFileName,
  triggeredExpert,
  vista3dRequest,
} from "../../src/eval/metrics/medical-dialogue.ts";
import { radVqaAccuracy } from "../../src/eval/metrics/medical-vqa.ts";
import {
  navigationFrames,
  navigationPrompt,
  parseNavigationAction,
} from "../../src/eval/metrics/navigation-actions.ts";
import {
  meanNavigationMetrics,
  navigationMetrics,
  normalisedTimeWarping,
  type Point,
  timeWarping,
} from "../../src/eval/metrics/navigation-metrics.ts";
import { cleanReport } from "../../src/eval/metrics/report-cleaning.ts";
import { vista3dName } from "../../src/eval/metrics/vista3d-labels.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { expectClose, readMetrics } from "./golden-metrics.ts";

describeGolden("acting models", (dir) => {
  it("navigation: actions, frames, episodes", () => {
    interface Parsed {
      action: number | null;
      amount: number | null;
      executed: (number | null)[];
      queued: number[];
    }
    const golden = readMetrics<{
      actions: (Parsed & { text: string | null; out?: Parsed })[];
      frame_sampling: { num_frames: number; observed: number; frames: number[] }[];
      episodes: {
        reference_path: Point[];
        positions: Point[];
        actions: number[];
        distance_to_goal: number[];
        metrics: Record<string, number>;
      }[];
      aggregate: Record<string, number>;
      ndtw_pairs: { path: Point[]; reference: Point[]; dtw_exact: number; ndtw_exact: number }[];
    }>(dir, "navigation");
    for (const c of golden.actions) {
      const { action, amount, steps } = parseNavigationAction(c.text);
      const wanted = c.out ?? c;
      expect({ action, amount, steps }, c.text ?? "null").toEqual({
        action: wanted.action,
        amount: wanted.amount,
        steps: [...wanted.executed, ...wanted.queued],
      });
    }
    for (const c of golden.frame_sampling) expect(navigationFrames(c.observed, c.num_frames)).toEqual(c.frames);
    const all = golden.episodes.map((e) => {
      const mine = navigationMetrics({
        referencePath: e.reference_path,
        positions: e.positions,
        actions: e.actions,
        distanceToGoal: e.distance_to_goal,
      });
      const m = e.metrics;
      expectClose(mine.navigationError, m.distance_to_goal, "NE", 1e-6);
      expectClose(mine.oracleError, m.oracle_navigation_error, "oracle error", 1e-6);
      expectClose(mine.success, m.success, "SR");
      expectClose(mine.oracleSuccess, m.oracle_success, "OS");
      expectClose(mine.spl, m.spl, "SPL", 1e-6);
      expectClose(mine.pathLength, m.path_length, "PL", 1e-6);
      expectClose(mine.steps, m.steps_taken, "steps");
      expectClose(mine.ndtw, m.ndtw_exact, "nDTW", 1e-6);
      return mine;
    });
    const { means, invalid } = meanNavigationMetrics(all);
    const a = golden.aggregate;
    expectClose(means.navigationError, a.mean_distance_to_goal, "mean NE", 1e-6);
    expectClose(means.success, a.mean_success, "mean SR", 1e-6);
    expectClose(means.spl, a.mean_spl, "mean SPL", 1e-6);
    expectClose(means.pathLength, a.mean_path_length, "mean PL", 1e-6);
    expectClose(means.oracleSuccess, a.mean_oracle_success, "mean OS", 1e-6);
    expectClose(means.steps, a.mean_steps_taken, "mean steps", 1e-6);
    expectClose(means.ndtw, a.mean_ndtw, "mean nDTW", 1e-3); // the reference is FastDTW's approximation
    expect([invalid.spl, invalid.navigationError]).toEqual([a.invalid_spls, a.invalid_distances]);
    for (const c of golden.ndtw_pairs) {
      expectClose(timeWarping(c.path, c.reference), c.dtw_exact, "DTW", 1e-6);
      expectClose(normalisedTimeWarping(c.path, c.reference), c.ndtw_exact, "nDTW", 1e-6);
    }
  });

  it("navigation: the prompt, by its hash", () => {
    const text = navigationPrompt("Walk forward and stop.");
    expect(text.length).toBe(437);
    const hash = createHash("sha256").update(text).digest("hex");
    expect(hash).toBe("9b236a618fc7e0eedb160e6f0948ec98ea1cb84240dc4a3bd8d6e1097c01dd24");
  });

  it("AITZ: steps, boxes, rates", () => {
    interface Step {
      gold: { ACTION: string; ARGS: Record<string, unknown> };
      prediction: string;
      pred: { action_type: string | null; action_detail: Record<string, unknown> | null };
      type_match: boolean;
      exact_match: boolean;
      text_dist: number | null;
      format_hit: boolean;
    }
    const golden = readMetrics<{
      steps: Step[];
      atomic: unknown;
      episode: { success_rate: number; goal_progress: number };
      boxes: { a: Box; b: Box; iou: number }[];
    }>(dir, "aitz");
    const scored = golden.steps.map((c) => {
      const label = JSON.stringify(c);
      const mine = parseAitzAction(c.prediction);
      expect({ action_type: mine?.type, action_detail: mine?.args }, label).toEqual(c.pred);
      const gold: AitzAction = { type: c.gold.ACTION, args: c.gold.ARGS };
      const score = scoreAitzStep(mine ?? { type: null, args: null }, gold);
      expect([score.hit, score.typeMatch, score.exactMatch], label).toEqual([
        c.format_hit,
        c.type_match,
        c.exact_match,
      ]);
      if (c.text_dist === null) expect(score.textSimilarity, label).toBeNull();
      else expectClose(score.textSimilarity ?? Number.NaN, c.text_dist, label);
      return { gold, score };
    });
    expect(aitzAtomicScores(scored)).toEqual(golden.atomic);
    const episodes = Array.from({ length: 12 }, (_, k) => scored.filter((_, i) => i % 12 === k).map((s) => s.score));
    const { successRate, goalProgress } = aitzEpisodeScores(episodes);
    expect({ success_rate: successRate, goal_progress: goalProgress }).toEqual(golden.episode);
    for (const c of golden.boxes) expectClose(boxIou(c.a, c.b), c.iou, JSON.stringify(c));
  });

  it("medical: tags, experts' texts, reports, accuracy", () => {
    interface Tag {
      text: string;
      tags: string[];
      triggered: string | null;
      second_generation: boolean | null;
      vista3d_label_prompt?: number[] | null;
      vista3d_error?: string;
    }
    const golden = readMetrics<{
      tags: Tag[];
      modality: { image: string | string[] | null; text: string | null; modality: string }[];
      cxr_text: { probabilities: Record<string, number>; text: string }[];
      vista3d_names: { id: number; name: string | null }[];
      merge_expert_messages: { messages: DialogueMessage[]; merged: DialogueMessage[] }[];
      slice_names: { file: string; slice: number; name: string }[];
      report_cleaning: { report: string; cleaned: string | null }[];
      vqa_accuracy: { radvqa: { references: [string, string][]; predictions: [string, string][]; accuracy: number } }[];
    }>(dir, "medical");
    for (const c of golden.tags) {
      expect(expertTags(c.text)).toEqual(c.tags);
      const expert = triggeredExpert(c.text);
      expect(expert, c.text).toBe(c.triggered);
      if (expert === null) continue;
      expect(needsSecondGeneration(expert, c.text), c.text).toBe(c.second_generation);
      if (expert !== "VISTA3D") continue;
      const wanted = c.vista3d_error === undefined ? { ids: c.vista3d_label_prompt } : { error: c.vista3d_error };
      expect(vista3dRequest(c.tags[0]), c.text).toEqual(wanted);
    }
    for (const c of golden.modality) expect(guessModality(c.image, c.text), JSON.stringify(c)).toBe(c.modality);
    for (const c of golden.cxr_text) expect(cxrText(c.probabilities)).toBe(c.text);
    for (const c of golden.vista3d_names) expect(vista3dName(c.id), String(c.id)).toBe(c.name);
    for (const c of golden.merge_expert_messages) expect(mergeExpertMessages(c.messages)).toEqual(c.merged);
    for (const c of golden.slice_names) expect(sliceFileName(c.file, c.slice)).toBe(c.name);
    for (const c of golden.report_cleaning) expect(cleanReport(c.report), c.report).toBe(c.cleaned);
    for (const { radvqa } of golden.vqa_accuracy) {
      expectClose(radVqaAccuracy(new Map(radvqa.references), new Map(radvqa.predictions)), radvqa.accuracy, "VQA-RAD");
    }
  });
});
