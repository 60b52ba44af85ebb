/** A whole recipe: its stages in order, each in a folder of its own, finished ones skipped, an unfinished one gone on with. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { type ComputeOptions, openTrainingBackend } from "./open-training-backend.ts";
import type { Recipe } from "./recipe.ts";
import { trainReplicas } from "./replicas.ts";
import { writeReport } from "./report-page.ts";
import { openRunFolder } from "./run-folder.ts";
import { finishedModel } from "./saved-run.ts";
import type { LoggedStep, StageOptions } from "./train-stage.ts";

export interface TrainOptions
  extends Omit<StageOptions, "backend" | "folder" | "seed" | "team" | "onStep">,
    ComputeOptions {
  /** Steps after which the replicas take the mean of their weights. Default 100. */
  readonly averageSteps?: number;
  /** Instead of one that is opened. */
  readonly backend?: Backend;
  /** Folder of the run. */
  readonly out: string;
  /** Names of the stages to run; default: all. */
  readonly only?: readonly string[];
  readonly onStep?: (stage: string, step: LoggedStep) => void;
  /** Called when a stage is finished, now or in an earlier run, before the report is written. */
  readonly onStage?: (stage: string, model: string) => Promise<void>;
}

/**
 * @returns Folder of the last stage's model.
 * @throws as `trainStage`.
 */
export async function train(recipe: Recipe, options: TrainOptions): Promise<string> {
  const { out, only, onStep, onStage, onWarning = () => {}, device, threads, tf32, bf16, ...rest } = options;
  const { replicas = 1, averageSteps = 100 } = options;
  const compute = { device, threads, tf32, bf16, replicas };
  const backend = options.backend ?? openTrainingBackend(options);
  await openRunFolder(out, recipe);
  let from = options.from;
  for (const stage of recipe.stages) {
    if (only && !only.includes(stage.name)) {
      const earlier = finishedModel(join(out, stage.name));
      if (existsSync(join(earlier, "config.json"))) from = earlier;
      else if (comesBefore(recipe, stage.name, only))
        onWarning(`stage "${stage.name}" has not run in ${out}: going on without it`);
      continue;
    }
    try {
      const folder = join(out, stage.name);
      const own = { ...rest, backend, onWarning, from, folder, seed: recipe.seed };
      from = await trainReplicas(
        stage,
        { ...own, onStep: (step) => onStep?.(stage.name, step) },
        { count: replicas, averageSteps, compute },
      );
      await onStage?.(stage.name, from);
    } finally {
      await writeReport(out, recipe);
    }
  }
  return from;
}

/** Whether a stage that is left out comes before one that runs. */
function comesBefore({ stages }: Recipe, name: string, only: readonly string[]): boolean {
  const place = stages.findIndex((stage) => stage.name === name);
  return stages.some((stage, i) => i > place && only.includes(stage.name));
}
