/**
 * The data sets of a training run: a registry names them, a mixture picks them, and together they are one long list of samples.
 * Source: VILA llava/data/builder.py at b760c34. DIFFERS: subsets are cut before a set is rounded up to the global batch.
 */
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { expandMixture, mixtureIndices, parseMixtureItem } from "../data/mixture.ts";
import { roundedIndices, roundedLength } from "../data/rounding.ts";
import type { TrainingSample } from "../data/training-sample.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import { Random } from "../util/random.ts";
import { openJsonSamples } from "./json-samples.ts";
import { openParquetSamples } from "./parquet-samples.ts";
import type { SampleSet } from "./sample-set.ts";
import { openTarSamples } from "./tar-samples.ts";

const entrySchema = z.object({
  /** A .json, .jsonl, .parquet or .tar file, or several of them; relative to the registry file. */
  data: z.union([z.string(), z.array(z.string()).min(1)]),
  /** Folder of the media of JSON files. Default: the folder of the data file. */
  mediaDir: z.string().optional(),
  /** "first": before the first question (default). "inline": at the marks. */
  placement: z.enum(["first", "inline"]).optional(),
  noSystemPrompt: z.boolean().optional(),
});

const registrySchema = z.object({
  datasets: z.record(z.string(), entrySchema),
  mixtures: z.record(z.string(), z.array(z.string())).optional(),
  /** Folder of `<subset>/<name>.json`: numbers of samples to drop. Relative to the registry file. */
  subsets: z.string().optional(),
});

/** One entry of a registry file. */
export type DatasetEntry = z.infer<typeof entrySchema>;

export interface Registry {
  readonly folder: string;
  readonly datasets: Readonly<Record<string, DatasetEntry>>;
  readonly mixtures: Readonly<Record<string, readonly string[]>>;
  readonly subsets: string;
}

/** @throws RequestError when the file is missing, no JSON, or holds an unknown shape. */
export async function readRegistry(path: string): Promise<Registry> {
  let parsed: z.infer<typeof registrySchema>;
  try {
    parsed = registrySchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new RequestError("data", `cannot read the registry ${path}: ${messageOf(cause)}`, { cause });
  }
  const folder = dirname(resolve(path));
  return {
    folder,
    datasets: parsed.datasets,
    mixtures: parsed.mixtures ?? {},
    subsets: resolve(folder, parsed.subsets ?? "subsets"),
  };
}

/** A sample's place in a mixture. */
export interface MixtureSample {
  readonly sample: TrainingSample;
  readonly entry: DatasetEntry;
}

export interface OpenMixture {
  /** Samples of each component, in the order of concatenation; what the sampler wants. */
  readonly lengths: readonly number[];
  readonly names: readonly string[];
  /** Name of the set of sample `index` and its number there: the same for a sample that comes several times. */
  label(index: number): string;
  /** Sample `index` of the concatenation. @throws RequestError when it is damaged. */
  sample(index: number): Promise<MixtureSample>;
  close(): Promise<void>;
}

export interface OpenMixtureOptions {
  /** Sets are rounded up to a multiple of it. Default 1. */
  readonly globalBatch?: number;
  /** For the samples that rounding repeats. Default 0. */
  readonly seed?: number;
}

/** @throws RequestError for an unknown set, a subset without its file, or a file that cannot be read. */
export async function openMixture(
  registry: Registry,
  mixture: string,
  { globalBatch = 1, seed = 0 }: OpenMixtureOptions = {},
): Promise<OpenMixture> {
  const items = expandMixture(mixture, registry.mixtures).map(parseMixtureItem);
  const open = new Map<string, SampleSet>();
  const parts: { name: string; entry: DatasetEntry; indices: number[] }[] = [];
  try {
    for (const { name, times, subset } of items) {
      const entry = registry.datasets[name];
      if (entry === undefined) {
        const known = [...Object.keys(registry.datasets), ...Object.keys(registry.mixtures)].join(", ");
        throw new RequestError("mixture", `expected a data set of the registry, got "${name}". It knows ${known}`);
      }
      const set = open.get(name) ?? (await openSet(registry, name, entry));
      open.set(name, set);
      const dropped = subset === null ? [] : await readDropped(registry, subset, name);
      const kept = mixtureIndices(set.length, 1, dropped);
      const rounded = roundedIndices(kept.length, roundedLength(kept.length, globalBatch), new Random(seed));
      const once = rounded.map((i) => kept[i]);
      parts.push({ name, entry, indices: Array.from({ length: times }, () => once).flat() });
    }
  } catch (error) {
    await Promise.all([...open.values()].map((set) => set.close()));
    throw error;
  }
  const lengths = parts.map((part) => part.indices.length);
  const ends: number[] = [];
  for (const length of lengths) ends.push((ends.at(-1) ?? 0) + length);
  const find = (index: number): { name: string; entry: DatasetEntry; number: number } => {
    const part = ends.findIndex((end) => index < end);
    const { name, entry, indices } = parts[part];
    return { name, entry, number: indices[index - (ends[part - 1] ?? 0)] };
  };
  return {
    lengths,
    names: parts.map((part) => part.name),
    label(index) {
      const { name, number } = find(index);
      return `${name}[${number}]`;
    },
    async sample(index) {
      const { name, entry, number } = find(index);
      return { sample: await (open.get(name) as SampleSet).sample(number), entry };
    },
    close: async () => {
      await Promise.all([...open.values()].map((set) => set.close()));
    },
  };
}

async function openSet(registry: Registry, name: string, entry: DatasetEntry): Promise<SampleSet> {
  const paths = [entry.data].flat().map((path) => resolve(registry.folder, path));
  const sets = await Promise.all(
    paths.map((path) => {
      const mediaDir = entry.mediaDir === undefined ? dirname(path) : resolve(registry.folder, entry.mediaDir);
      if (/\.jsonl?$/i.test(path)) return openJsonSamples(path, mediaDir);
      if (/\.parquet$/i.test(path)) return openParquetSamples(path);
      if (/\.tar$/i.test(path)) return openTarSamples(path);
      throw new RequestError("data", `expected .json, .jsonl, .parquet or .tar for "${name}", got ${path}`);
    }),
  );
  return sets.length === 1 ? sets[0] : concatenated(name, sets);
}

function concatenated(name: string, sets: readonly SampleSet[]): SampleSet {
  const ends: number[] = [];
  for (const set of sets) ends.push((ends.at(-1) ?? 0) + set.length);
  return {
    name,
    length: ends.at(-1) ?? 0,
    sample: (index) => {
      const part = ends.findIndex((end) => index < end);
      return sets[part].sample(index - (ends[part - 1] ?? 0));
    },
    close: async () => {
      await Promise.all(sets.map((set) => set.close()));
    },
  };
}

async function readDropped(registry: Registry, subset: string, name: string): Promise<number[]> {
  const path = join(registry.subsets, subset, `${name}.json`);
  try {
    return z.array(z.int().min(0)).parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new RequestError(
      "mixture",
      `expected the samples that "${subset}" drops of "${name}" in ${path}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}
