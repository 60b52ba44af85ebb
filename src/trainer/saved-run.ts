/**
 * What a stage leaves on the disk: complete NVILA checkpoints in the native layout, and beside the weights of an unfinished one the moments of
 * the optimiser and the place in the data. Everything is written beside its place and renamed, so a run that is killed at any moment finds
 * the last whole state.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { CheckpointFiles, Part } from "../io/checkpoint-files.ts";
import { readJsonFile } from "../io/json-file.ts";
import { expectSpace, writeNewFolder } from "../io/new-folder.ts";
import { openSafetensors } from "../io/safetensors-file.ts";
import { type TensorToStore, writeTensors } from "../io/write-tensors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Learner } from "../train/learner.ts";
import type { Component, ParameterDType } from "../train/parameters.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";

const FOLDERS = { llm: "llm", vision: "vision_tower", projector: "mm_projector" } as const satisfies Record<
  Part,
  Component
>;
const PARTS = Object.keys(FOLDERS) as Part[];
const WEIGHTS = "model.safetensors";
const MOMENTS = "optimizer.safetensors";
const STATE = "training_state.json";
/** Files of a checkpoint that are written anew or belong to other programs. */
const NOT_COPIED = /\.(safetensors|bin|pt|pth|nvila)$|\.index\.json$|^training_state\.json$/;

const stateSchema = z.strictObject({
  /** What the run must agree in, as text. */
  fingerprint: z.string(),
  /** Steps done. */
  step: z.int().min(0),
  optimizerSteps: z.int().min(0),
});

/** Where a stage leaves its model. */
export function finishedModel(stageFolder: string): string {
  return join(stageFolder, "model");
}

/** What a saved model has beside its weights. */
export interface SavedSource {
  /** The checkpoint that the stage began with: configuration and tokenizer are copied from it. */
  readonly files: CheckpointFiles;
  /** Keys of its config.json that the stage changes. */
  readonly changed: Readonly<Record<string, unknown>>;
}

/** Where a stage stands. */
export type StageState = z.infer<typeof stateSchema>;

/** The newest whole state in a stage's folder, or null. Remains of writing that was cut short are removed. */
export function newestState(stageFolder: string): { folder: string; state: StageState } | null {
  if (!existsSync(stageFolder)) return null;
  const entries = readdirSync(stageFolder);
  for (const entry of entries) {
    if (entry.includes(".partial-")) rmSync(join(stageFolder, entry), { recursive: true, force: true });
  }
  const steps = entries.flatMap((entry) => /^checkpoint-(\d+)$/.exec(entry)?.[1] ?? []).map(Number);
  if (steps.length === 0) return null;
  const folder = join(stageFolder, `checkpoint-${Math.max(...steps)}`);
  const parsed = stateSchema.safeParse(readJsonFile(join(folder, STATE)));
  if (!parsed.success)
    throw new RequestError("train", `cannot read ${join(folder, STATE)}: ${z.prettifyError(parsed.error)}`);
  return { folder, state: parsed.data };
}

/**
 * Writes `checkpoint-<step>` with the configuration of `source` and everything that going on needs, then removes older ones.
 * @throws RequestError when the disk is full or cannot be written; the older state stays.
 */
export async function saveState(
  stageFolder: string,
  source: SavedSource,
  learner: Learner,
  state: StageState,
): Promise<void> {
  const target = join(stageFolder, `checkpoint-${state.step}`);
  if (existsSync(target)) return;
  await writeNewFolder("train", target, undefined, async (folder) => {
    await expectSpace("train", folder, 3 * bytesOf(learner));
    await writeModel(folder, source, learner);
    await writeTensors(
      join(folder, MOMENTS),
      new Map(ownTensors(learner).map(([name, tensor]) => [name, storable(tensor)])),
    );
    await writeFile(join(folder, STATE), `${JSON.stringify(state, null, 2)}\n`);
  });
  removeStates(stageFolder, target);
}

/** Writes the finished model and removes the states that led to it. @throws RequestError as `saveState`. */
export async function saveFinished(stageFolder: string, source: SavedSource, learner: Learner): Promise<void> {
  const target = finishedModel(stageFolder);
  await writeNewFolder("train", target, undefined, async (folder) => {
    await expectSpace("train", folder, bytesOf(learner));
    await writeModel(folder, source, learner);
  });
  removeStates(stageFolder, target);
}

function removeStates(stageFolder: string, kept: string): void {
  for (const entry of readdirSync(stageFolder)) {
    if (/^checkpoint-\d+$/.test(entry) && join(stageFolder, entry) !== kept) {
      rmSync(join(stageFolder, entry), { recursive: true, force: true });
    }
  }
}

/**
 * Puts the moments of a saved state back into the optimiser, and the values that no checkpoint holds into their masters.
 * @throws RequestError when they are of another model.
 */
export async function restoreMoments(folder: string, learner: Learner, state: StageState): Promise<void> {
  // Read, not mapped: the values are copied at once, and the file is deleted while the run goes on.
  const saved = openSafetensors(join(folder, MOMENTS), { isMapped: false });
  for (const [name, tensor] of ownTensors(learner)) {
    if (saved.info(name)?.shape.join() !== tensor.shape.join()) {
      throw new RequestError(
        "train",
        `${join(folder, MOMENTS)} has no "${name}" of shape [${tensor.shape.join(", ")}]`,
      );
    }
    tensor.backend.copy(tensor.storage, 0, tensor.backend.wrap("f32", saved.data(name)));
  }
  learner.optimizer.stepCount = state.optimizerSteps;
}

/** What a state holds beside the model, by name: moments, masters of bf16 parameters, and parameters that are no part of NVILA. */
function ownTensors(learner: Learner): [string, Tensor][] {
  return learner.trained.flatMap((parameter) => {
    const moments = Object.entries(learner.optimizer.momentsOf(parameter) as unknown as Record<string, Tensor>);
    const named = moments.map(([kind, tensor]): [string, Tensor] => [`${parameter.name}.${kind}`, tensor]);
    const isInModel = parameter.component !== "contrastive_head" && parameter.master === parameter.tensor;
    return isInModel ? named : [...named, [`${parameter.name}.master`, parameter.master]];
  });
}

/** A tensor as the writer of files takes it. */
export function storable(tensor: Tensor): TensorToStore {
  return { dtype: tensor.dtype, shape: tensor.shape, data: () => tensor.read() };
}

async function writeModel(folder: string, { files, changed }: SavedSource, learner: Learner): Promise<void> {
  if (files.layout === "hf") {
    throw new UnsupportedError(
      "train",
      "checkpoints of the flat -hf layout cannot be trained yet; the native layout can",
    );
  }
  const dtype = learner.parameters.dtype;
  await copyFiles(files.path, folder, dtype, changed);
  for (const part of PARTS) {
    const component = FOLDERS[part];
    const target = join(folder, component);
    await mkdir(target);
    await copyFiles(files.folders[part], target, dtype);
    const own = new Map(
      learner.parameters.all.filter((p) => p.component === component).map(({ name, tensor }) => [name, tensor]),
    );
    const tensors = new Map<string, TensorToStore>();
    const stored = files.weights[part];
    for (const name of stored.names) {
      const tensor = own.get(`${component}.${name}`);
      const info = stored.info(name);
      if (tensor) tensors.set(name, storable(tensor));
      else if (info) tensors.set(name, { ...info, data: () => stored.data(name) }); // no layer reads it
    }
    await writeTensors(join(target, WEIGHTS), tensors);
  }
}

/** The configuration and tokenizer files of a folder; weights have the trained type now, and random ones are no longer. */
async function copyFiles(source: string, target: string, dtype: ParameterDType, changed = {}): Promise<void> {
  const name = dtype === "f32" ? "float32" : "bfloat16";
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    if (!entry.isFile() || NOT_COPIED.test(entry.name)) continue;
    if (entry.name !== "config.json") {
      await copyFile(join(source, entry.name), join(target, entry.name));
      continue;
    }
    const { random_weights: _, ...config } = readJsonFile(join(source, entry.name)) as Record<string, unknown>;
    if ("torch_dtype" in config) config.torch_dtype = name;
    if ("model_dtype" in config) config.model_dtype = `torch.${name}`;
    await writeFile(join(target, entry.name), `${JSON.stringify({ ...config, ...changed }, null, 2)}\n`);
  }
}

function bytesOf({ parameters }: Learner): number {
  return parameters.all.reduce((sum, { tensor }) => sum + 4 * tensor.storage.length, 0);
}
