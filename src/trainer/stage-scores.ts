/** What a stage's model scores on the synthetic world, written beside it: a small fixed sample of the validation split, the same after every stage. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadModel } from "../api/load-model.ts";
import type { DeviceName } from "../backend/registry.ts";
import { synthTask } from "../eval/synth-task.ts";
import type { EvalTask } from "../eval/task.ts";
import { SYNTH_TASKS } from "../eval/tasks/all-tasks.ts";
import { modelFingerprint } from "../evaluate/model-fingerprint.ts";
import { mediaHtml, reportPage } from "../evaluate/report-page.ts";
import { type EvaluatedTask, runEvaluation } from "../evaluate/run-evaluation.ts";
import { readJsonFile } from "../io/json-file.ts";
import { writeWholeFile } from "../io/new-folder.ts";
import type { Recipe } from "./recipe.ts";

/** Folder of a stage's answers, scores and page. */
export const EVALUATION = "evaluation";
const SCORES = "scores.json";
const CONCURRENCY = 8;

/** Examples of each task whose answers the run's report shows. */
const SAMPLES_PER_TASK = 2;

/** What the model said to one example; the same examples after every stage. */
export interface StageSample {
  readonly task: string;
  readonly question: string;
  /** The first of the right answers. */
  readonly right: string;
  readonly response: string;
  readonly score: number;
  /** Its picture as HTML that needs nothing else. */
  readonly media: string;
}

/** Scores are 0 … 1. */
export interface StageScores {
  /** Examples of each task. */
  readonly count: number;
  readonly tasks: readonly {
    readonly task: string;
    readonly headline: string;
    readonly score: number;
    /** Half the width of about the 95 % interval. */
    readonly margin: number;
    readonly chance: number;
    readonly n: number;
  }[];
  /** Absent in runs of earlier versions. */
  readonly samples?: readonly StageSample[];
}

export interface StageScoresOptions {
  readonly device?: DeviceName | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (task: string, done: number, total: number, score: number) => void;
  readonly onWarning?: (message: string) => void;
}

/** Null when the stage has none. */
export function readScores(stageFolder: string): StageScores | null {
  const path = join(stageFolder, EVALUATION, SCORES);
  return existsSync(path) ? (readJsonFile(path) as StageScores) : null;
}

/**
 * Scores the model of a stage, once: what was answered before counts.
 * @param model Folder of the model in the stage's folder.
 * @throws the signal's reason on abort, with the answers so far on the disk.
 */
export async function scoreStage(
  model: string,
  { count, seed }: NonNullable<Recipe["evaluate"]>,
  { device, threads, signal, onProgress, onWarning = () => {} }: StageScoresOptions,
): Promise<StageScores> {
  const stageFolder = dirname(model);
  const known = readScores(stageFolder);
  if (known) return known;
  const outDir = join(stageFolder, EVALUATION);
  await mkdir(outDir, { recursive: true });
  const tasks = Object.values(SYNTH_TASKS).map((recipe) => synthTask(recipe, { count, split: "validation", seed }));
  const loaded = await loadModel(model, {
    ...(device && { device }),
    ...(threads !== undefined && { threads }),
    maxConcurrent: CONCURRENCY,
    onWarning,
  });
  try {
    const evaluated = await runEvaluation(loaded, {
      tasks,
      outDir,
      modelFingerprint: modelFingerprint(model),
      concurrency: CONCURRENCY,
      signal,
      ...(onProgress && { onProgress }),
    });
    const notes = [`validation split, seed ${seed}, greedy`];
    await writeWholeFile(
      join(outDir, "report.html"),
      await reportPage(evaluated, tasks, { model, notes, mostWrong: 12 }),
    );
    const scores = evaluated.map(({ task, headline, score, margin, chance, n }) => ({
      task,
      headline,
      score,
      margin,
      chance,
      n,
    }));
    const samples = (await Promise.all(evaluated.map((result, i) => samplesOf(result, tasks[i])))).flat();
    const found: StageScores = { count, tasks: scores, samples };
    await writeWholeFile(join(outDir, SCORES), `${JSON.stringify(found, null, 2)}\n`);
    return found;
  } finally {
    loaded.close();
  }
}

function samplesOf({ answers }: EvaluatedTask, task: EvalTask): Promise<StageSample[]> {
  return Promise.all(
    answers.slice(0, SAMPLES_PER_TASK).map(async ({ index, question, answers: right, response, error, score }) => {
      const { media } = await task.getExample(index);
      const pictures = await Promise.all(media.map(mediaHtml));
      const said = error === null ? response : `error: ${error}`;
      return { task: task.name, question, right: right[0], response: said, score, media: pictures.join("") };
    }),
  );
}
