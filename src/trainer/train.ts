/** A whole recipe: its stages in order, each in a folder of its own, finished ones skipped, an unfinished one gone on with. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { registerCpuBackend } from "../backend/cpu/register.ts";
import { registerCudaBackend } from "../backend/cuda/register.ts";
import { createBackend, type DeviceName } from "../backend/registry.ts";
import type { Recipe } from "./recipe.ts";
import { writeReport } from "./report-page.ts";
import { openRunFolder } from "./run-folder.ts";
import { finishedModel } from "./saved-run.ts";
import { type LoggedStep, type StageOptions, trainStage } from "./train-stage.ts";

/** Activations of a micro-batch come and go: memory that went back to the system would have to be cleared again by it. */
const POOLED_BYTES = 3 * 2 ** 30;

export interface TrainOptions extends Omit<StageOptions, "backend" | "folder" | "seed" | "onStep"> {
  /** Default "auto", which is never "cuda". */
  readonly device?: DeviceName;
  /** Threads that compute. Default: as many as the machine runs at once. */
  readonly threads?: number;
  /** Instead of one for `device` and `threads`. */
  readonly backend?: Backend;
  /** Folder of the run. */
  readonly out: string;
  /** Names of the stages to run; default: all. */
  readonly only?: readonly string[];
  readonly onStep?: (stage: string, step: LoggedStep) => void;
  /** Called when a stage is finished, now or in an earlier run, before the report is written. */
  readonly onStage?: (stage: string, model: string) => Promise<void>;
}

/** What computes. @throws DeviceError when that cannot run here. */
export function openTrainingBackend({
  device = "auto",
  threads,
  onWarning = () => {},
}: Pick<TrainOptions, "device" | "threads" | "onWarning">): Backend {
  registerCpuBackend();
  registerCudaBackend();
  const options = { pooledBytes: POOLED_BYTES, ...(threads !== undefined && { threads }) };
  return createBackend(device, options, (reason) =>
    onWarning(`computing without the native addon, which is very slow: ${reason}`),
  );
}

/**
 * @returns Folder of the last stage's model.
 * @throws as `trainStage`.
 */
export async function train(recipe: Recipe, options: TrainOptions): Promise<string> {
  const { out, only, onStep, onStage, onWarning = () => {}, ...rest } = options;
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
      from = await trainStage(stage, {
        ...rest,
        backend,
        onWarning,
        from,
        folder: join(out, stage.name),
        seed: recipe.seed,
        onStep: (step) => onStep?.(stage.name, step),
      });
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
