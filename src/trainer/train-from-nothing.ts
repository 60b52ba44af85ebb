/**
 * A recipe from an empty folder: the world is drawn, a vocabulary learnt from its words, a checkpoint with initial weights written; then the
 * stages, each scored; at the end the model is quantised. Every part that is finished is not done again, so one command goes on where it was.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { initialSpread } from "../checkpoint/initial-spread.ts";
import { presetOf } from "../checkpoint/presets.ts";
import { quantizeCheckpoint } from "../io/quantize-checkpoint.ts";
import { writeRandomCheckpoint } from "../io/random-checkpoint.ts";
import { readRegistry } from "../loader/registry.ts";
import { qwen2TokenizerFiles } from "../tokenizer/qwen2-files.ts";
import { trainBpe } from "../tokenizer/train-bpe.ts";
import { RequestError } from "../util/errors.ts";
import { drawWorld, textsOfWorld } from "./draw-world.ts";
import { openTrainingBackend } from "./open-training-backend.ts";
import type { Recipe, RecipeStart } from "./recipe.ts";
import { openRunFolder } from "./run-folder.ts";
import { finishedModel } from "./saved-run.ts";
import { scoreStage } from "./stage-scores.ts";
import { type TrainOptions, train } from "./train.ts";

/** Share of the conversations below which a word is spelled: above it are the words of questions, colours and shapes, below it names and things. */
const SPELLED_BELOW = 0.02;

export interface FromNothingOptions extends Omit<TrainOptions, "from" | "registry" | "mixture" | "onStage"> {
  /** What is done besides steps: "drawing charts", "scoring 4-image: scenes". */
  readonly onWork?: (what: string, done: number, total: number) => void;
}

/**
 * `world/`, `start/`, a folder for each stage, `final/` and `report.html` in `out`.
 *
 * @returns Folder of the quantised model, or that of the last stage when not all stages ran or the recipe does not quantise.
 * @throws RequestError when the recipe does not say what to start from, and as `train`; the signal's reason when aborted.
 */
export async function trainFromNothing(recipe: Recipe, options: FromNothingOptions): Promise<string> {
  const { out, signal, onWork = () => {}, onWarning = () => {}, device, threads } = options;
  const { start, evaluate, final } = recipe;
  if (!start) {
    throw new RequestError(
      "train",
      `recipe "${recipe.name}" needs a checkpoint and data. You can use --model and --data`,
    );
  }
  const backend = openTrainingBackend(options); // first: a device that is not there need not be waited for
  await openRunFolder(out, recipe);
  const registry = await drawWorld(join(out, "world"), start.world, {
    signal,
    onProgress: (done, total, family) => onWork(`drawing ${family}`, done, total),
  });
  const from = join(out, "start");
  if (!existsSync(from)) await writeStart(start, recipe.seed, { world: join(out, "world"), from, onWork });
  const last = await train(recipe, {
    ...options,
    backend,
    from,
    registry: await readRegistry(registry),
    mixture: null,
    onStage: async (stage, model) => {
      if (!evaluate) return;
      await scoreStage(model, evaluate, {
        device: device === "auto" || device === "cuda" ? undefined : device, // a GPU trains; answers come from the processor
        threads,
        signal,
        onWarning,
        onProgress: (task, done, total) => onWork(`scoring ${stage}: ${task}`, done, total),
      });
    },
  });
  const isWhole = recipe.stages.every(({ name }) => existsSync(join(finishedModel(join(out, name)), "config.json")));
  if (!isWhole || !final) return last;
  const quantized = join(out, "final");
  const { llm, vision, embedding } = final;
  const quantize = { ...(llm && { llm }), ...(vision && { vision }), ...(embedding && { embedding }) };
  if (!existsSync(quantized)) {
    const model = finishedModel(join(out, recipe.stages[recipe.stages.length - 1].name));
    await quantizeCheckpoint(model, quantized, { quantize, onWarning, ...(signal && { signal }) });
  }
  return quantized;
}

/** A checkpoint with initial weights and a vocabulary of the world's words. */
async function writeStart(
  { model }: RecipeStart,
  seed: number,
  { world, from, onWork }: { world: string; from: string; onWork: (what: string, done: number, total: number) => void },
): Promise<void> {
  onWork("learning a vocabulary", 0, 1);
  const preset = presetOf(model);
  const { firstSpecialId, hasBosAndPad } = preset.tokenizer;
  const { timeTokens, modelMaxLength } = preset;
  const vocabulary = trainBpe(textsOfWorld(world), { size: firstSpecialId, minShare: SPELLED_BELOW });
  const tokenizer = qwen2TokenizerFiles({ ...vocabulary, hasBosAndPad, timeTokens, modelMaxLength });
  await writeRandomCheckpoint(model, from, { dtype: "f32", seed, spreadOf: initialSpread(preset), tokenizer });
}
