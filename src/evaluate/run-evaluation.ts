/** Runs tasks on a model: examples are answered several at a time, answers are kept on disk, scores are computed from them. */
import type { GenerateOptions } from "../api/generate-options.ts";
import type { GenerationResult } from "../api/generation.ts";
import { image, type Part, video } from "../api/parts.ts";
import { evaluateAnswer } from "../eval/evaluate-answer.ts";
import type { EvalExample, EvalMedia, EvalTask } from "../eval/task.ts";
import { type TaskScores, taskScores } from "../eval/task-scores.ts";
import { BusyError, EngineError, messageOf, NvilaError } from "../util/errors.ts";
import { encodeExample } from "../world/encode-example.ts";
import { AnswerLog, answerKey, type LoggedAnswer } from "./answer-log.ts";

/** What is asked of a model; `Nvila` has it. */
export interface AnsweringModel {
  generate(
    input: readonly Part[],
    options?: GenerateOptions,
  ): PromiseLike<Pick<GenerationResult, "text" | "timedText">>;
}

export interface EvaluationOptions {
  readonly tasks: readonly EvalTask[];
  /** Folder of outputs.jsonl. */
  readonly outDir: string;
  /** What tells this model from another one. */
  readonly modelFingerprint: string;
  /** Examples answered at once. */
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (task: string, done: number, total: number, score: number) => void;
}

export interface EvaluatedTask extends TaskScores {
  readonly task: string;
  /** In order of the examples. */
  readonly answers: readonly LoggedAnswer[];
  /** Answers that were there already. */
  readonly reused: number;
  readonly seconds: number;
}

/** @throws the signal's reason on abort, with all answers so far on disk; RequestError when the folder cannot be written. */
export async function runEvaluation(model: AnsweringModel, options: EvaluationOptions): Promise<EvaluatedTask[]> {
  const log = await AnswerLog.open(options.outDir);
  try {
    const evaluated: EvaluatedTask[] = [];
    for (const task of options.tasks) evaluated.push(await runTask(model, task, log, options));
    return evaluated;
  } finally {
    await log.close();
  }
}

async function runTask(
  model: AnsweringModel,
  task: EvalTask,
  log: AnswerLog,
  { modelFingerprint, concurrency, signal, onProgress = () => {} }: EvaluationOptions,
): Promise<EvaluatedTask> {
  const startMs = performance.now();
  const answers: LoggedAnswer[] = [];
  let [next, done, reused, sum] = [0, 0, 0, 0];
  const storedOrAnswered = async (index: number): Promise<LoggedAnswer> => {
    let example: EvalExample;
    try {
      example = await task.getExample(index);
    } catch (error) {
      if (!(error instanceof NvilaError)) throw error;
      return damagedExample(task.name, index, messageOf(error));
    }
    const key = answerKey([modelFingerprint, task.fingerprint, task.maxTokens, index, example.question]);
    const known = log.get(key);
    if (known) {
      reused++;
      return known;
    }
    const answer = await answerExample(model, task, index, key, example, signal);
    await log.add(answer);
    return answer;
  };
  const work = async (): Promise<void> => {
    while (next < task.numExamples) {
      const index = next++;
      signal?.throwIfAborted();
      const answer = await storedOrAnswered(index);
      answers[index] = answer;
      sum += answer.score;
      onProgress(task.name, ++done, task.numExamples, sum / done);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, concurrency) }, work));
  const seconds = (performance.now() - startMs) / 1000;
  return { task: task.name, ...taskScores(task.headline, answers), answers, reused, seconds };
}

async function answerExample(
  model: AnsweringModel,
  { name, maxTokens }: EvalTask,
  index: number,
  key: string,
  example: EvalExample,
  signal: AbortSignal | undefined,
): Promise<LoggedAnswer> {
  const { id, question, answers, kind, chance } = example;
  const startMs = performance.now();
  const common = { key, task: name, index, id, question, answers, kind, chance };
  try {
    const parts = [...(await Promise.all(example.media.map(partOf))), question];
    const result = await model.generate(parts, { maxTokens, ...(signal ? { signal } : {}) });
    const response = result.timedText ?? result.text;
    const verdict = evaluateAnswer(example, response);
    return { ...common, response, ...verdict, error: null, ms: Math.round(performance.now() - startMs) };
  } catch (error) {
    // Only what is wrong with this example counts against it; an abort or a fault of ours ends the run.
    const isAnswerable = error instanceof EngineError || error instanceof BusyError;
    if (!(error instanceof NvilaError) || isAnswerable || signal?.aborted) throw error;
    const ms = Math.round(performance.now() - startMs);
    return { ...common, response: "", parsed: null, score: 0, error: messageOf(error), ms };
  }
}

/** An example of a file that cannot be used: it counts as wrong and is named, and is not stored. */
function damagedExample(task: string, index: number, error: string): LoggedAnswer {
  const id = `${task}-${index}`;
  const common = { key: "", task, index, id, question: "", answers: [], kind: "damaged", chance: 0 };
  return { ...common, response: "", parsed: null, score: 0, error, ms: 0 };
}

/** Videos go as files, so that the model hears their times. */
export async function partOf(media: EvalMedia): Promise<Part> {
  if (media.type === "file") return media.kind === "image" ? image(media.source) : video(media.source);
  const { frames, framesPerSecond } = media;
  if (framesPerSecond === null) {
    const { width, height, data } = frames[0];
    return image({ width, height, channels: 3, data });
  }
  const { bytes } = await encodeExample({ frames, framesPerSecond });
  return video(bytes);
}
