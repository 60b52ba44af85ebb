/**
 * Recipes: what a training run does, as data. A recipe is a JSON file with stages that follow each other, each starting from the model that
 * the one before left. The presets in recipes/ hold the numbers of the paper and of the original's scripts.
 * Source: NVILA paper, tables 8 and A1; VILA scripts/NVILA/*.sh and scripts/NVILA-Lite/*.sh at b760c34.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PRESET_NAMES } from "../checkpoint/presets.ts";
import { readJsonFile } from "../io/json-file.ts";
import { LLM_QUANTIZATIONS, TABLE_QUANTIZATIONS, VISION_QUANTIZATIONS } from "../quant/quantize-plan.ts";
import { RequestError } from "../util/errors.ts";

const positive = z.int().min(1).max(1e9);
const rate = z.number().min(0).max(10);

const stageSchema = z.strictObject({
  /** Folder of the stage in the run's folder. */
  name: z.string().regex(/^[\w.-]+$/),
  /** Which parts learn. */
  tune: z.strictObject({ vision: z.boolean(), projector: z.boolean(), llm: z.boolean() }),
  learningRate: rate,
  /** Of the vision tower; default: learningRate. */
  visionLearningRate: rate.optional(),
  /** Of the projector; default: learningRate. */
  projectorLearningRate: rate.optional(),
  /** Samples of one step of the optimiser. */
  globalBatch: positive,
  /** Samples that are packed into one row; divides globalBatch. */
  microBatch: positive,
  /** Rows of one sample at most. */
  maxLength: positive,
  /** Tiles of one picture at most, in this stage and in the checkpoints that it leaves (`max_tiles`). Default: as where it starts. */
  maxTiles: z.int().min(1).max(4096).optional(),
  /** Data sets, as `a+b*2@subset`; null: named when the run is started, which may also replace the ones named here. */
  mixture: z.string().min(1).nullable(),
  epochs: positive.default(1),
  /** Ends the stage early. */
  maxSteps: positive.optional(),
  warmupRatio: z.number().min(0).max(1).default(0.03),
  /** What parameters are rounded to; the optimiser moves f32 masters either way. */
  parameters: z.enum(["f32", "bf16"]).default("f32"),
  /** "muon": hidden weight matrices with Muon, the rest with AdamW. */
  optimizer: z.enum(["adamw", "muon"]).default("adamw"),
  weightDecay: z.number().min(0).max(1).default(0),
  /** Most that the norm of all gradients may be; null: no clipping. */
  maxGradientNorm: z.number().positive().nullable().default(null),
  /** "recompute": gradient checkpointing. */
  activations: z.enum(["keep", "recompute"]).default("recompute"),
  /** Steps between two saved states. */
  saveSteps: positive.default(100),
  /**
   * What is learnt of a sample: its answers; all of its text, questions and template too (pre-training a language model on plain text); what its
   * visual tokens show, where the sample says so; or which of a micro-batch's pictures its answers belong to (SigLIP's contrastive
   * pre-training of the vision tower).
   */
  learns: z.enum(["answers", "text", "places", "contrast"]).default("answers"),
  /** "names": visual tokens are made of what the samples say stands where (docs/decisions/0015-places.md), and neither tower nor projector is asked. */
  sees: z.enum(["pictures", "names"]).default("pictures"),
  /** Loss on answers by spans of the template or as the original counts them. */
  labelMode: z.enum(["span", "template-diff"]).default("span"),
  /** Deviation of the targets of time tokens, in tokens. */
  softStd: z.number().positive().default(1),
  /** Decides the order of samples. Default: the recipe's. */
  seed: z.int().min(0).optional(),
});

/** What a recipe makes before its first stage when it is given neither a checkpoint nor data. */
const startSchema = z.strictObject({
  /** Shape of the model. */
  model: z.enum(PRESET_NAMES),
  /** The synthetic world: pictures of each family, and its seed. */
  world: z.strictObject({ count: positive, seed: z.int().min(0).default(1) }),
});

const recipeSchema = z.strictObject({
  name: z.string(),
  /** Where the numbers come from. */
  source: z.string(),
  seed: z.int().min(0).default(42),
  stages: z
    .array(
      stageSchema.extend({
        /** So many stages like this one after the other, <name>-1 …, each with samples in another order. Keeps a long stage in parts that can be waited for. */
        times: z.int().min(1).max(100).default(1),
      }),
    )
    .min(1),
  start: startSchema.optional(),
  /** After each stage: examples of each family of the synthetic world, from its validation split. */
  evaluate: z.strictObject({ count: positive, seed: z.int().min(0).default(1) }).optional(),
  /** How the last stage's model is quantised into `final`. */
  final: z
    .strictObject({
      llm: z.enum(LLM_QUANTIZATIONS).optional(),
      vision: z.enum(VISION_QUANTIZATIONS).optional(),
      embedding: z.enum(TABLE_QUANTIZATIONS).optional(),
    })
    .optional(),
});

export type Stage = z.infer<typeof stageSchema>;
export type Recipe = Omit<z.infer<typeof recipeSchema>, "stages"> & { readonly stages: readonly Stage[] };
export type RecipeStart = z.infer<typeof startSchema>;

const PRESETS = fileURLToPath(new URL("../../recipes/", import.meta.url));

/** Names of the recipes in the package. */
export function recipeNames(): string[] {
  if (!existsSync(PRESETS)) return [];
  return readdirSync(PRESETS)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/**
 * @param nameOrPath A preset, or a JSON file.
 * @throws RequestError when there is no such recipe, or it holds an unknown key or a wrong value.
 */
export function readRecipe(nameOrPath: string): Recipe {
  const isPreset = recipeNames().includes(nameOrPath);
  const path = isPreset ? join(PRESETS, `${nameOrPath}.json`) : nameOrPath;
  if (!existsSync(path)) {
    throw new RequestError("recipe", `expected one of ${recipeNames().join(", ")} or a JSON file, got "${nameOrPath}"`);
  }
  const parsed = recipeSchema.safeParse(readJsonFile(path));
  if (!parsed.success) throw new RequestError("recipe", `cannot use ${path}:\n${z.prettifyError(parsed.error)}`);
  for (const { name, globalBatch, microBatch, learns, sees } of parsed.data.stages) {
    if (sees === "names" && (learns === "places" || learns === "contrast")) {
      throw new RequestError(
        "recipe",
        `expected "sees": "pictures" in stage "${name}" of ${path}, which learns ${learns}: names in place of pictures leave the tower nothing to learn from`,
      );
    }
    if (globalBatch % microBatch !== 0) {
      throw new RequestError(
        "recipe",
        `expected microBatch to divide globalBatch in stage "${name}" of ${path}, got ${microBatch} and ${globalBatch}`,
      );
    }
  }
  const stages = parsed.data.stages.flatMap((stage) => repeated(stage, parsed.data.seed));
  const twice = stages.find(({ name }, i) => stages.findIndex((other) => other.name === name) < i);
  if (twice)
    throw new RequestError(
      "recipe",
      `expected a name of its own for every stage of ${path}, got "${twice.name}" twice`,
    );
  return { ...parsed.data, stages };
}

function repeated({ times, ...stage }: Stage & { readonly times: number }, recipeSeed: number): Stage[] {
  if (times === 1) return [stage];
  const { name, seed = recipeSeed } = stage;
  return Array.from({ length: times }, (_, i) => ({ ...stage, name: `${name}-${i + 1}`, seed: seed + i }));
}
