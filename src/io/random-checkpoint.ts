/**
 * Writes a checkpoint of a preset's shape with weights from the recipe (checkpoint/random-recipe.ts), in the native layout. Streams: memory
 * does not grow with the model. Everything is written into a folder beside the target and renamed at the end, so that what stands at the
 * target is always whole.
 */
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { presetConfigs } from "../checkpoint/preset-configs.ts";
import { llmTensors, projectorTensors, type TensorShapes, visionTensors } from "../checkpoint/preset-tensors.ts";
import { type PresetName, presetOf } from "../checkpoint/presets.ts";
import { type RandomDType, type RecipeOptions, RecipeTensors } from "../checkpoint/random-recipe.ts";
import { formatSafetensorsHeader, STORED_DTYPE, storedBytes } from "../checkpoint/safetensors-header.ts";
import { arrayView, BYTES_PER_ELEMENT } from "../core/dtype.ts";
import { elementCount } from "../core/shape.ts";
import type { Qwen2TokenizerFiles } from "../tokenizer/qwen2-files.ts";
import { randomTokenizerFiles } from "../tokenizer/random-tokenizer.ts";
import { expectSpace, writeAll, writeNewFolder } from "./new-folder.ts";

export interface RandomCheckpointOptions {
  /** Default bf16. */
  readonly dtype?: RandomDType;
  /** Default 20251128, the seed of the golden recipe. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { bytesDone: number; bytesTotal: number }) => void;
  /** Spread of each tensor's values. Default: that of the golden recipe, which shows errors well and learns badly. */
  readonly spreadOf?: RecipeOptions["spreadOf"];
  /** Default: the preset's size, with noise for words. */
  readonly tokenizer?: Qwen2TokenizerFiles;
  /** Files of weights are split beyond this; default 5 GB. */
  readonly maxShardBytes?: number;
}

export const DEFAULT_SEED = 20251128;
const MAX_SHARD_BYTES = 5e9;
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Tensors of one part and the name in front of theirs when they are hashed. */
interface PartPlan {
  readonly folder: string;
  readonly shapes: TensorShapes;
  readonly tensors: RecipeTensors;
}

/**
 * @param dir Must not exist, or be an empty folder.
 * @returns Bytes of the weight files.
 * @throws RequestError when the target is not free, the disk is full or cannot be written; the signal's reason when it is aborted. Nothing
 * is left behind then.
 */
export async function writeRandomCheckpoint(
  preset: PresetName,
  dir: string,
  options: RandomCheckpointOptions = {},
): Promise<{ sizeBytes: number }> {
  const { dtype = "bf16", seed = DEFAULT_SEED, signal } = options;
  const sizeBytes = await writeNewFolder("random", dir, signal, (folder) =>
    writeInto(folder, preset, { ...options, dtype, seed }),
  );
  return { sizeBytes };
}

async function writeInto(
  folder: string,
  name: PresetName,
  options: RandomCheckpointOptions & { readonly dtype: RandomDType; readonly seed: number },
): Promise<number> {
  const { dtype, seed, spreadOf } = options;
  const preset = presetOf(name);
  const part = (partFolder: string, shapes: TensorShapes, hashPrefix: string): PartPlan => ({
    folder: join(folder, partFolder),
    shapes,
    tensors: new RecipeTensors(shapes, { dtype, seed, hashPrefix, ...(spreadOf && { spreadOf }) }),
  });
  const parts = [
    part("vision_tower", visionTensors(preset.vision), ""),
    part("mm_projector", projectorTensors(preset), "mm_projector."),
    part("llm", llmTensors(preset.llm), ""),
  ];
  const bytesTotal = parts.reduce((sum, { shapes }) => sum + dataBytes(shapes, dtype), 0);
  await expectSpace("random", folder, bytesTotal);
  const configs = presetConfigs(preset, dtype, { preset: name, seed, recipe: "checkpoint/random-recipe" });
  const { timeTokens, modelMaxLength } = preset;
  const tokenizer = options.tokenizer ?? randomTokenizerFiles({ ...preset.tokenizer, timeTokens, modelMaxLength });
  for (const { folder: partFolder } of parts) await mkdir(partFolder);
  await writeJson(folder, {
    "config.json": configs.root,
    "llm/config.json": configs.llm,
    "llm/tokenizer.json": tokenizer.tokenizerJson,
    "llm/tokenizer_config.json": tokenizer.tokenizerConfig,
    "llm/added_tokens.json": tokenizer.addedTokens,
    "llm/special_tokens_map.json": tokenizer.specialTokensMap,
    "vision_tower/config.json": configs.vision,
    "vision_tower/preprocessor_config.json": configs.preprocessor,
    "mm_projector/config.json": configs.projector,
  });
  let bytesDone = 0;
  let sizeBytes = 0;
  const onBytes = (bytes: number): void => {
    options.signal?.throwIfAborted();
    bytesDone += bytes;
    options.onProgress?.({ bytesDone, bytesTotal });
  };
  for (const plan of parts) {
    sizeBytes += await writePart(plan, dtype, options.maxShardBytes ?? MAX_SHARD_BYTES, onBytes);
  }
  return sizeBytes;
}

async function writeJson(folder: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, value] of Object.entries(files)) {
    // One line for the vocabulary, readable lines for the rest.
    const indent = name.endsWith("tokenizer.json") ? 0 : 2;
    await writeFile(join(folder, name), `${JSON.stringify(value, null, indent)}\n`);
  }
}

/** One file, or shards and their index. */
async function writePart(
  plan: PartPlan,
  dtype: RandomDType,
  maxShardBytes: number,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const shards = splitShards(plan.shapes, dtype, maxShardBytes);
  const digits = (n: number): string => String(n).padStart(5, "0");
  const fileName = (i: number): string =>
    shards.length === 1 ? "model.safetensors" : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  let sizeBytes = 0;
  for (const [i, shapes] of shards.entries()) {
    sizeBytes += await writeTensors(join(plan.folder, fileName(i)), shapes, plan.tensors, dtype, onBytes);
  }
  if (shards.length > 1) {
    const weightMap = Object.fromEntries(
      shards.flatMap((shapes, i) => [...shapes.keys()].map((key) => [key, fileName(i)])),
    );
    const index = { metadata: { total_size: dataBytes(plan.shapes, dtype) }, weight_map: weightMap };
    await writeJson(plan.folder, { "model.safetensors.index.json": index });
  }
  return sizeBytes;
}

function splitShards(shapes: TensorShapes, dtype: RandomDType, maxShardBytes: number): TensorShapes[] {
  const shards: Map<string, readonly number[]>[] = [new Map()];
  let bytes = 0;
  for (const [name, shape] of shapes) {
    const own = storedBytes(dtype, shape);
    if (bytes > 0 && bytes + own > maxShardBytes) {
      shards.push(new Map());
      bytes = 0;
    }
    shards[shards.length - 1].set(name, shape);
    bytes += own;
  }
  return shards;
}

/** Generates the next chunk while the last one is written. */
async function writeTensors(
  path: string,
  shapes: TensorShapes,
  tensors: RecipeTensors,
  dtype: RandomDType,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const file = await open(path, "wx");
  let pending: Promise<void> = Promise.resolve();
  try {
    const header = headerOf(shapes, dtype);
    await writeAll(file, header);
    const buffers = [new ArrayBuffer(CHUNK_BYTES), new ArrayBuffer(CHUNK_BYTES)];
    const chunkElements = CHUNK_BYTES / BYTES_PER_ELEMENT[dtype];
    let turn = 0;
    for (const [name, shape] of shapes) {
      const count = elementCount(shape);
      for (let start = 0; start < count; start += chunkElements) {
        const chunk = arrayView(dtype, buffers[turn], 0, Math.min(chunkElements, count - start));
        tensors.fill(name, start, chunk);
        await pending;
        pending = writeAll(file, new Uint8Array(chunk.buffer, 0, chunk.byteLength));
        pending.catch(() => {}); // looked at when it is awaited
        onBytes(chunk.byteLength);
        turn = 1 - turn;
      }
    }
    await pending;
    return header.length + dataBytes(shapes, dtype);
  } finally {
    await pending.catch(() => {});
    await file.close();
  }
}

function headerOf(shapes: TensorShapes, dtype: RandomDType): Uint8Array {
  const tensors = [...shapes].map(
    ([name, shape]) =>
      [name, { storedDType: STORED_DTYPE[dtype], shape, byteLength: storedBytes(dtype, shape) }] as const,
  );
  return formatSafetensorsHeader(new Map(tensors), { format: "pt" }).bytes;
}

function dataBytes(shapes: TensorShapes, dtype: RandomDType): number {
  return [...shapes.values()].reduce((sum, shape) => sum + storedBytes(dtype, shape), 0);
}
