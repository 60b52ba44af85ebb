/**
 * Opens a checkpoint folder: finds its layout, reads its configuration, opens its weights. Three layouts come out in one form, that of
 * the native one; weights that are stored quantised look like any other. Reads no values of the configuration (models/nvila/config.ts) and no tensor.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";
import {
  type CheckpointLayout,
  isJsonObject,
  layoutOf,
  type NvilaConfigFiles,
  shortJson,
} from "../checkpoint/config-files.ts";
import { configsOfHfLayout, HF_PREFIX } from "../checkpoint/hf-layout.ts";
import { type StoredTensors, tensorsBelow } from "../checkpoint/stored-tensors.ts";
import { elementCount } from "../core/shape.ts";
import type { TokenizerFiles } from "../tokenizer/tokenizer-files.ts";
import { ConfigError, UnsupportedError, WeightsError } from "../util/errors.ts";
import { WEIGHT_FILES } from "./checkpoint-listing.ts";
import { readJsonFile } from "./json-file.ts";
import { unpackedPart } from "./quantized-part.ts";
import { openTensorFile } from "./safetensors-file.ts";
import { findTokenizerFiles } from "./tokenizer-folder.ts";
import { openStateDict } from "./torch-file.ts";

/** The parts of a model. */
export type Part = "llm" | "vision" | "projector";

export interface CheckpointFiles {
  /** Name of the folder, for people. */
  readonly label: string;
  /** The folder that holds config.json. */
  readonly path: string;
  readonly layout: CheckpointLayout;
  /** The folder of each part's files; in the flat layout all the same. */
  readonly folders: Readonly<Record<Part, string>>;
  readonly configs: NvilaConfigFiles;
  /** Read when it is first asked for. @throws ConfigError when the checkpoint has none. */
  readonly tokenizer: TokenizerFiles;
  /** Names as in the native layout, without the part's prefix. */
  readonly weights: Readonly<Record<Part, StoredTensors>>;
  /** Bytes of all weight files. */
  readonly sizeBytes: number;
  /** Dtypes of the stored tensors, the one with most bytes first. */
  readonly dtypes: readonly string[];
  /** Elements of the stored tensors. */
  readonly parameters: Readonly<Record<Part, number>>;
}

const PART_FOLDER = { llm: "llm", vision: "vision_tower", projector: "mm_projector" } as const;
const PICKLES = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

export interface OpenCheckpointOptions {
  /** Told what a user should know: quantised layers that no kernel reads and that are kept larger. */
  readonly onWarning?: (message: string) => void;
}

/**
 * @param path Folder of a checkpoint, or one that holds it as `model`.
 * @throws ConfigError when files are missing or damaged, or it is no NVILA model; UnsupportedError for relatives of NVILA;
 * WeightsError when weight files are missing or damaged.
 */
export async function openCheckpoint(path: string, options: OpenCheckpointOptions = {}): Promise<CheckpointFiles> {
  const root = findRoot(path);
  const configPath = join(root, "config.json");
  const config = readJsonFile(configPath);
  const layout = layoutOf(config, configPath);
  const onWarning = options.onWarning ?? (() => {});
  const openParts = layout === "hf" ? openFlat : openFolders;
  const parts = openParts(root, config, configPath, onWarning);
  return new OpenCheckpoint(path, root, layout, parts);
}

interface OpenParts {
  readonly folders: Readonly<Record<Part, string>>;
  readonly configs: NvilaConfigFiles;
  readonly weights: Readonly<Record<Part, StoredTensors>>;
  readonly tokenizerFolders: readonly string[];
  readonly sizeBytes: number;
}

class OpenCheckpoint implements CheckpointFiles {
  readonly label: string;
  readonly path: string;
  readonly layout: CheckpointLayout;
  readonly folders: Readonly<Record<Part, string>>;
  readonly configs: NvilaConfigFiles;
  readonly weights: Readonly<Record<Part, StoredTensors>>;
  readonly sizeBytes: number;
  readonly dtypes: readonly string[];
  readonly parameters: Readonly<Record<Part, number>>;
  readonly #tokenizerFolders: readonly string[];
  #tokenizer: TokenizerFiles | null = null;

  constructor(given: string, root: string, layout: CheckpointLayout, parts: OpenParts) {
    this.label = basename(resolve(given));
    this.path = root;
    this.layout = layout;
    this.folders = parts.folders;
    this.configs = parts.configs;
    this.weights = parts.weights;
    this.sizeBytes = parts.sizeBytes;
    this.dtypes = dtypesOf(Object.values(parts.weights));
    this.parameters = {
      llm: countElements(parts.weights.llm),
      vision: countElements(parts.weights.vision),
      projector: countElements(parts.weights.projector),
    };
    this.#tokenizerFolders = parts.tokenizerFolders;
  }

  get tokenizer(): TokenizerFiles {
    this.#tokenizer ??= findTokenizerFiles(this.#tokenizerFolders);
    return this.#tokenizer;
  }
}

/** Like the original, looks into `model` when config.json is only there. */
function findRoot(path: string): string {
  const candidates = [path, join(path, "model")];
  const root = candidates.find((folder) => existsSync(join(folder, "config.json")));
  if (root !== undefined) return root;
  if (!existsSync(path)) throw new ConfigError("checkpoint", `there is no folder ${path}`);
  if (!statSync(path).isDirectory()) {
    throw new ConfigError("checkpoint", `expected the folder of a checkpoint, got the file ${path}`);
  }
  throw new ConfigError("checkpoint", `expected config.json in ${path} or its folder model, got neither`);
}

type OnWarning = (message: string) => void;

function openFolders(root: string, config: unknown, label: string, onWarning: OnWarning): OpenParts {
  const folder = (part: Part): string => partFolder(root, config, part, label);
  const folders = { llm: folder("llm"), vision: folder("vision"), projector: folder("projector") };
  const configOf = (part: Part): unknown => readJsonFile(join(folders[part], "config.json"));
  const configs = { llm: configOf("llm"), vision: configOf("vision"), projector: configOf("projector") };
  const open = (part: Part): StoredTensors =>
    unpackedPart(openWeights(folders[part]), folders[part], [configs[part], config], onWarning);
  const weights = { llm: open("llm"), vision: open("vision"), projector: open("projector") };
  return {
    folders,
    configs: {
      root: config,
      ...configs,
      preprocessor: findPreprocessor([folders.vision, root]),
    },
    weights,
    tokenizerFolders: [folders.llm, join(folders.llm, "llm"), root],
    sizeBytes: Object.values(weights).reduce((bytes, source) => bytes + source.sizeBytes, 0),
  };
}

/** `<root>/llm` and so on; paths of the training machine inside the configuration (`_name_or_path`) say nothing. */
function partFolder(root: string, config: unknown, part: Part, label: string): string {
  const key = `${PART_FOLDER[part]}_cfg`;
  const value = isJsonObject(config) ? config[key] : undefined;
  const name = typeof value === "string" ? value : PART_FOLDER[part];
  const folder = resolve(root, name);
  const fromRoot = relative(resolve(root), folder);
  if (isAbsolute(name) || fromRoot === ".." || fromRoot.startsWith(`..${sep}`) || isAbsolute(fromRoot)) {
    throw new ConfigError(
      "checkpoint",
      `expected ${key} in ${label} to name a folder inside ${root}, got ${shortJson(name)}`,
    );
  }
  if (!existsSync(folder)) {
    throw new ConfigError("checkpoint", `the folder ${folder} is missing: ${label} describes a model in parts`);
  }
  return folder;
}

function openFlat(root: string, config: unknown, label: string, onWarning: OnWarning): OpenParts {
  const all = openWeights(root);
  const textConfig = isJsonObject(config) ? config.text_config : undefined;
  const open = (part: Part): StoredTensors =>
    unpackedPart(tensorsBelow(all, HF_PREFIX[part]), root, [config, textConfig], onWarning);
  const weights = { llm: open("llm"), vision: open("vision"), projector: open("projector") };
  const stray = all.names.filter((name) => !Object.values(HF_PREFIX).some((prefix) => name.startsWith(prefix)));
  if (stray.length > 0) {
    throw new WeightsError(
      "checkpoint",
      `expected names with ${Object.values(HF_PREFIX).join(", ")} in ${all.label}, got ${stray.slice(0, 8).join(", ")}`,
    );
  }
  const shapeOf = (name: string) => weights.projector.stored(name)?.shape ?? null;
  return {
    folders: { llm: root, vision: root, projector: root },
    configs: {
      ...configsOfHfLayout(config, shapeOf, label),
      preprocessor: findPreprocessor([root, join(root, "vision_tower")]),
    },
    weights,
    tokenizerFolders: [root, join(root, "llm")],
    sizeBytes: all.sizeBytes,
  };
}

function openWeights(folder: string): StoredTensors {
  const found = WEIGHT_FILES.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return openTensorFile(found);
  if (PICKLES.some((name) => existsSync(join(folder, name)))) {
    throw new UnsupportedError(
      "checkpoint",
      `${folder} holds its weights as a pickle, which can run code when it is opened. You can convert it to safetensors`,
    );
  }
  const torchFiles = readdirSync(folder).filter((name) => name.endsWith(".pt"));
  if (torchFiles.length === 1) return openStateDict(join(folder, torchFiles[0]));
  throw new WeightsError("checkpoint", `expected ${WEIGHT_FILES.join(" or ")} in ${folder}, got neither`);
}

/** preprocessor_config.json, or the part of processor_config.json that newer versions of transformers write instead. */
function findPreprocessor(folders: readonly string[]): unknown {
  for (const folder of folders) {
    const path = join(folder, "preprocessor_config.json");
    if (existsSync(path)) return readJsonFile(path);
  }
  for (const folder of folders) {
    const path = join(folder, "processor_config.json");
    const config = existsSync(path) ? readJsonFile(path) : null;
    if (isJsonObject(config) && isJsonObject(config.image_processor)) return config.image_processor;
  }
  throw new ConfigError("checkpoint", `expected preprocessor_config.json in ${folders.join(" or ")}, got none`);
}

function countElements(source: StoredTensors): number {
  return source.names.reduce((sum, name) => sum + elementCount(source.stored(name)?.shape ?? [0]), 0);
}

function dtypesOf(sources: readonly StoredTensors[]): string[] {
  const bytes = new Map<string, number>();
  for (const source of sources) {
    for (const name of source.names) {
      const tensor = source.stored(name);
      if (tensor) bytes.set(tensor.storedDType, (bytes.get(tensor.storedDType) ?? 0) + tensor.byteLength);
    }
  }
  return [...bytes].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype.toLowerCase());
}
