/**
 * One stage of a recipe from a checkpoint to a checkpoint: samples in the sampler's order, a step of the optimiser per global batch, one line
 * of log per step, a saved state every so many steps and when the user stops it. A stage that was killed goes on from its last state and
 * gives the same losses: the order of samples depends on the seed alone, and the state holds weights and moments in f32.
 */
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tokensOf } from "../api/load-model.ts";
import type { Backend } from "../backend/backend.ts";
import { sampleOrder } from "../data/sampler.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { BatchLoader, type TrainingBatch as LoadedBatch } from "../loader/batch-loader.ts";
import { MediaPool } from "../loader/media-pool.ts";
import { openMixture, type Registry } from "../loader/registry.ts";
import { parseNvilaConfig } from "../models/nvila/config.ts";
import { mediaRowCounts } from "../models/nvila/media-row-counts.ts";
import { modelFacts } from "../models/nvila/model-facts.ts";
import { NvilaModel } from "../models/nvila/nvila-model.ts";
import { createTokenizer } from "../tokenizer/tokenizer.ts";
import { LANGUAGE_OBJECTIVE, NAMES_OBJECTIVE, type Objective, PLACES_OBJECTIVE } from "../train/batch-loss.ts";
import { ContrastiveObjective } from "../train/contrastive.ts";
import { Learner } from "../train/learner.ts";
import { ParameterSet } from "../train/parameters.ts";
import { cosineWithWarmup } from "../train/schedule.ts";
import { RequestError } from "../util/errors.ts";
import { modelBatch } from "./model-batch.ts";
import type { Stage } from "./recipe.ts";
import { finishedModel, newestState, restoreMoments, saveFinished, saveState } from "./saved-run.ts";
import { type Team, WeightAverage } from "./weight-average.ts";

/** Name of the log in a stage's folder: one LoggedStep a line. */
export const STAGE_LOG = "log.jsonl";

/** One line of the log. */
export interface LoggedStep {
  /** 1 for the first. */
  readonly step: number;
  readonly totalSteps: number;
  /** Mean over the predicted tokens of the step. */
  readonly loss: number;
  /** Mean over the predicted tokens alone, where names of visual tokens are learnt beside them; null where nothing else is. */
  readonly answerLoss: number | null;
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Rows that went through the language model. */
  readonly rows: number;
  /** Rows that padding every sample to the longest of its micro-batch would have taken. */
  readonly paddedRows: number;
  readonly samples: number;
  /** Samples left out so far: media or conversations that cannot be used, and such without anything to learn. */
  readonly skipped: { readonly broken: number; readonly empty: number };
  readonly seconds: number;
  readonly savedMiB: number;
}

export interface StageOptions {
  readonly backend: Backend;
  /** Checkpoint to start from. */
  readonly from: string;
  /** Folder of the stage; what is there is gone on with. */
  readonly folder: string;
  readonly registry: Registry;
  /** Instead of what the stage names; null: that. */
  readonly mixture: string | null;
  /** Of a stage that names none. */
  readonly seed: number;
  /** Threads that decode media. Default 1. */
  readonly decodeThreads?: number;
  /** Bytes of prepared samples that are kept for when they come again. Default 0. */
  readonly keepBytes?: number;
  /** The trainers that share the stage's samples, this one among them. Default: it is alone. */
  readonly team?: Team;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: LoggedStep) => void;
  readonly onWarning?: (message: string) => void;
}

/**
 * @returns Folder of the finished model. A stage that is finished is not run again.
 * @throws RequestError for a mixture that is missing or unknown, another run in the folder, a loss that is not finite (naming the
 * samples), or a disk that is full; the signal's reason after saving when it is aborted.
 */
export async function trainStage(stage: Stage, options: StageOptions): Promise<string> {
  const { backend, folder, registry, signal, team, onStep, onWarning = () => {} } = options;
  const { size: world, member: rank } = team ?? { size: 1, member: 0 };
  const { seed = options.seed } = stage;
  const finished = finishedModel(folder);
  if (existsSync(join(finished, "config.json"))) return finished;
  const mixtureName = options.mixture ?? stage.mixture;
  if (mixtureName === null) {
    throw new RequestError("train", `stage "${stage.name}" names no data. You can name some with --mixture`);
  }
  await mkdir(folder, { recursive: true });
  const found = newestState(folder);
  const files = await openCheckpoint(options.from, { onWarning });
  const state = found ? await openCheckpoint(found.folder, { onWarning }) : files;
  const source = { files, changed: stage.maxTiles === undefined ? {} : { max_tiles: stage.maxTiles } };
  const config = parseNvilaConfig(files.configs, { overrides: source.changed, label: files.label });
  const tokenizer = createTokenizer(files.tokenizer);
  const { llm, vision, projector } = state.weights;
  const sources = { llm, vision_tower: vision, mm_projector: projector };
  const parameters = new ParameterSet(backend, sources, stage.parameters);
  const weights = {
    llm: parameters.weights("llm"),
    vision: parameters.weights("vision_tower"),
    projector: parameters.weights("mm_projector"),
  };
  const model = new NvilaModel(weights, config.model, tokensOf(tokenizer, config));
  const timeIds = timeTokenIds(config.timeTokens, (text) => tokenizer.encode(text));
  const { tune } = stage;
  const isContrast = stage.learns === "contrast";
  const language = stage.sees === "names" ? NAMES_OBJECTIVE : LANGUAGE_OBJECTIVE;
  const objective = {
    answers: () => language,
    text: () => language,
    places: () => PLACES_OBJECTIVE,
    contrast: () => new ContrastiveObjective(model, parameters, seed),
  }[stage.learns]();
  const learner = new Learner(model, parameters, {
    trained: { vision_tower: tune.vision, mm_projector: tune.projector, llm: tune.llm, contrastive_head: isContrast },
    objective,
    optimizer: { weightDecay: stage.weightDecay, maxGradientNorm: stage.maxGradientNorm },
    algorithm: stage.optimizer,
    activations: stage.activations,
    soft: timeIds && { ids: timeIds, std: stage.softStd },
  });

  const mixture = await openMixture(registry, mixtureName, { globalBatch: stage.globalBatch * world, seed });
  const pool = new MediaPool(
    { image: config.image, numFrames: config.video.numFrames ?? 8, fps: config.video.fps },
    options.decodeThreads ?? 1,
  );
  try {
    const accumulation = stage.globalBatch / stage.microBatch;
    const order = Array.from({ length: stage.epochs }, (_, epoch) =>
      sampleOrder({
        lengths: mixture.lengths,
        perDeviceBatch: stage.microBatch,
        accumulation,
        seed,
        epoch,
        world,
        rank,
      }),
    ).flat();
    const totalSteps = Math.min(stage.maxSteps ?? Number.POSITIVE_INFINITY, order.length / stage.globalBatch);
    if (totalSteps < 1) throw new RequestError("train", `"${mixtureName}" has no sample for stage "${stage.name}"`);
    const place = team && { rank, world, every: team.every };
    const { lengths, names } = mixture;
    const fingerprint = JSON.stringify({ stage, mixtureName, seed, lengths, names, place });
    let step = 0;
    if (found) {
      if (found.state.fingerprint !== fingerprint) {
        throw new RequestError(
          "train",
          `${found.folder} was written by another recipe, seed, data or number of replicas. You can use another folder, or delete this one`,
        );
      }
      await restoreMoments(found.folder, learner, found.state);
      step = found.state.step;
    }
    await trimLog(join(folder, STAGE_LOG), step);
    const average = team ? await WeightAverage.join(team, totalSteps) : null;
    const meetAfter = async (step: number): Promise<void> => {
      if (average?.isMeeting(step)) await average.meet(step, learner.trained, signal);
    };
    await meetAfter(step); // a trainer that went away from a meeting comes back to it
    const sizes = { ...modelFacts(model), s2: model.s2, tokens: model.tokens, videoEncoder: model.cfg.videoEncoder };
    const loader = new BatchLoader({
      mixture,
      order: order.slice(0, totalSteps * stage.globalBatch),
      batchSize: stage.microBatch,
      maxLength: stage.maxLength,
      tileSize: config.image.tileSize,
      tokenizer,
      pool,
      labelMode: stage.labelMode,
      learns: stage.learns === "contrast" ? "answers" : stage.learns,
      sees: stage.sees,
      poolsFrames: model.cfg.videoEncoder.kind !== "basic",
      numTimeTokens: config.timeTokens?.count ?? 0,
      rowsOf: ({ kind, tileCount, blockSize }) => {
        const tiles = { count: tileCount, pixels: () => new Float32Array(0) };
        const call =
          kind === "image"
            ? ({ kind, tiles, blockSizes: [blockSize] } as const)
            : ({ kind, tiles, framesPerVideo: [tileCount] } as const);
        return mediaRowCounts(sizes, call)[0];
      },
      firstBatch: step * accumulation,
      keepBytes: options.keepBytes ?? 0,
      onSkip: (label, reason) => onWarning(`left out ${label}: ${reason}`),
    });
    const save = (): Promise<void> =>
      saveState(folder, source, learner, { fingerprint, step, optimizerSteps: learner.optimizer.stepCount });

    let parts: (LoadedBatch | null)[] = [];
    let startMs = performance.now();
    for await (const part of loader.batches()) {
      parts.push(part);
      if (parts.length < accumulation) continue;
      const loaded = parts.filter((batch) => batch !== null);
      parts = [];
      const factor = cosineWithWarmup(step, totalSteps, stage.warmupRatio);
      const result = await runStep(learner, objective, stage, loaded, factor, (batch) =>
        modelBatch(batch, config.pixels),
      );
      step++;
      const line: LoggedStep = {
        step,
        totalSteps,
        ...result,
        learningRate: stage.learningRate * factor,
        paddedRows: loaded.reduce((sum, batch) => sum + paddedRows(batch.cuSeqlens), 0),
        samples: loaded.reduce((sum, batch) => sum + batch.samples.length, 0),
        skipped: loader.skipped,
        seconds: (performance.now() - startMs) / 1000,
      };
      startMs = performance.now();
      await appendFile(join(folder, STAGE_LOG), `${JSON.stringify(line)}\n`);
      onStep?.(line);
      const isSaved = average?.isMeeting(step) || (step % stage.saveSteps === 0 && step < totalSteps);
      if (signal?.aborted || isSaved) await save();
      signal?.throwIfAborted();
      await meetAfter(step);
      await new Promise(setImmediate);
    }
    await saveFinished(folder, source, learner);
    return finished;
  } finally {
    await pool.close();
    await mixture.close();
  }
}

/** @throws RequestError when loss or gradients are not finite. */
async function runStep(
  learner: Learner,
  objective: Objective,
  stage: Stage,
  loaded: readonly LoadedBatch[],
  factor: number,
  batchOf: (batch: LoadedBatch) => ReturnType<typeof modelBatch>,
): Promise<Pick<LoggedStep, "loss" | "answerLoss" | "gradientNorm" | "tokens" | "rows" | "savedMiB">> {
  const rows = loaded.reduce((sum, batch) => sum + batch.inputIds.length, 0);
  const items = loaded.reduce((n, row) => n + objective.items({ row }), 0);
  if (items === 0) return { loss: 0, answerLoss: null, gradientNorm: 0, tokens: 0, rows, savedMiB: 0 };
  const { learningRate: base, visionLearningRate = base, projectorLearningRate = base } = stage;
  const rates = {
    llm: base * factor,
    vision_tower: visionLearningRate * factor,
    mm_projector: projectorLearningRate * factor,
    contrastive_head: base * factor,
  };
  const { loss, answerLoss, gradientNorm, tokens, savedBytes } = await learner.step(
    loaded.map(batchOf),
    items,
    rates,
    () => new Promise(setImmediate),
  );
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) {
    return { loss, answerLoss, gradientNorm, tokens, rows, savedMiB: Math.round(savedBytes / 2 ** 20) };
  }
  throw new RequestError(
    "train",
    `the loss is ${loss} and the norm of the gradients ${gradientNorm} on the samples ${loaded.flatMap((b) => b.samples).join(", ")}. ` +
      "Nothing was changed by this step. You can leave these samples out, or lower the learning rate",
  );
}

/** Drops what a killed run logged behind its last state. */
async function trimLog(path: string, step: number): Promise<void> {
  if (!existsSync(path)) return;
  const kept = (await readFile(path, "utf8"))
    .split("\n")
    .filter((line) => line.endsWith("}") && (JSON.parse(line) as LoggedStep).step <= step);
  await writeFile(path, kept.map((line) => `${line}\n`).join(""));
}

/** Ids of the time tokens, or null for a model without. */
function timeTokenIds(
  times: { readonly count: number; readonly format: string } | null,
  encode: (text: string) => ArrayLike<number>,
): Int32Array | null {
  if (!times || times.count === 0) return null;
  return Int32Array.from({ length: times.count }, (_, t) => encode(times.format.replace("{t}", String(t)))[0]);
}

function paddedRows(cuSeqlens: Int32Array): number {
  let longest = 0;
  for (let i = 0; i + 1 < cuSeqlens.length; i++) longest = Math.max(longest, cuSeqlens[i + 1] - cuSeqlens[i]);
  return longest * (cuSeqlens.length - 1);
}
