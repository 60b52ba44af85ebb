/**
 * Quantises a checkpoint on the disk: the same folder with some matrices rounded, in compressed-tensors form. Streams tensor by tensor,
 * one file for each file of the original; configuration and tokenizer come along. What stands at the target is always whole.
 *
 * This is round-to-nearest. Calibrated methods (AWQ, SmoothQuant) differ in what they do to weights and norms before they are rounded:
 * their place is between reading and rounding in quantize-file.ts, with the search in front of the plan here.
 */
import { constants } from "node:fs";
import { chmod, copyFile, mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { isJsonObject, type Json } from "../checkpoint/config-files.ts";
import { HF_PREFIX } from "../checkpoint/hf-layout.ts";
import { type PlannedMatrix, quantizationConfig } from "../quant/compressed-writer.ts";
import {
  checkQuantizeOptions,
  EMBEDDING,
  isNothing,
  LM_HEAD,
  planTensor,
  type QuantizeOptions,
  splitsTiedHead,
} from "../quant/quantize-plan.ts";
import type { WeightQuantizer } from "../quant/weight-quantizer.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";
import { type CheckpointFiles, openCheckpoint, type Part } from "./checkpoint-files.ts";
import { filesBelow, weightFilesOf } from "./checkpoint-listing.ts";
import { readJsonFile } from "./json-file.ts";
import { bestQuantizer } from "./native-quantizer.ts";
import { expectSpace, writeNewFolder } from "./new-folder.ts";
import { packCheckpoint } from "./packed-copy.ts";
import { FLOAT_DTYPES, type MatrixJob, type MatrixReport, quantizeFile } from "./quantize-file.ts";
import { openSafetensors } from "./safetensors-file.ts";

/** What to quantise, and who is told of it. */
export interface QuantizeCheckpointOptions {
  readonly quantize: QuantizeOptions;
  /** Default: the native addon's where it was built, else plain TypeScript. */
  readonly quantizer?: WeightQuantizer;
  /** True: also writes the packed copy for this machine's kernels, as `nvila pack` does. Default false. */
  readonly isPacked?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { label: string; bytesDone: number; bytesTotal: number }) => void;
  readonly onWarning?: (message: string) => void;
}

/** What became of one part of a model. */
export interface PartReport {
  readonly part: Part;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Matrices that were rounded. */
  readonly matrices: number;
  /** Mean over the rounded matrices of ‖w − ŵ‖ / ‖w‖; null when none was. */
  readonly meanRelativeError: number | null;
  /** The matrix with the largest one. */
  readonly worst: MatrixReport | null;
}

/** What became of a model. */
export interface QuantizeReport {
  readonly parts: readonly PartReport[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

const PARTS: readonly Part[] = ["llm", "vision", "projector"];
/** The flat layout may keep tokenizer and picture configuration in these. */
const PART_FOLDERS = ["llm", "vision_tower", "mm_projector"];

/** A folder with weights and what happens to them. In the flat layout all parts share one. */
interface FolderPlan {
  readonly folder: string;
  readonly files: readonly string[];
  readonly index: string | null;
  /** By the name in the files. */
  readonly matrices: ReadonlyMap<string, MatrixJob>;
  /** Tensors that are left out: the unused copy of a tied head. */
  readonly dropped: ReadonlySet<string>;
  readonly unties: boolean;
}

/**
 * @param path Folder of a checkpoint of any layout.
 * @param out Must not exist, or be an empty folder.
 * @throws RequestError when there is nothing to do, a part is quantised already, groups do not divide a matrix, or the target is not
 * free; WeightsError, ConfigError and UnsupportedError for the checkpoint; the signal's reason when aborted. Nothing is left behind then.
 */
export async function quantizeCheckpoint(
  path: string,
  out: string,
  options: QuantizeCheckpointOptions,
): Promise<QuantizeReport> {
  const { quantize, signal, onWarning = () => {} } = options;
  checkQuantizeOptions(quantize);
  if (isNothing(quantize)) {
    throw new RequestError("quantize", "nothing is to be quantised. You can give --llm w4a16, --vision w8a8, or both");
  }
  const files = await openCheckpoint(path, { onWarning });
  const plans = planFolders(files, quantize);
  const reports = await writeNewFolder("quantize", out, signal, (target) => writeInto(target, files, plans, options));
  return {
    parts: reports,
    bytesBefore: reports.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0),
    bytesAfter: reports.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0),
  };
}

function prefixOf(files: CheckpointFiles, part: Part): string {
  return files.layout === "hf" ? HF_PREFIX[part] : "";
}

function planFolders(files: CheckpointFiles, quantize: QuantizeOptions): readonly FolderPlan[] {
  const folders = [...new Set(PARTS.map((part) => files.folders[part]))];
  const plans = folders.map((folder) => {
    const matrices = new Map<string, MatrixJob>();
    const dropped = new Set<string>();
    let unties = false;
    for (const part of PARTS.filter((candidate) => files.folders[candidate] === folder)) {
      const prefix = prefixOf(files, part);
      const isTied =
        part === "llm" && isJsonObject(files.configs.llm) && files.configs.llm.tie_word_embeddings === true;
      for (const name of files.weights[part].names) {
        const stored = files.weights[part].stored(name);
        if (!stored || (isTied && name === LM_HEAD)) continue;
        const plan = planTensor(part, name, stored.shape, quantize);
        if (!plan) continue;
        expectFloats(name, stored.storedDType, files.weights[part].label);
        matrices.set(prefix + name, { from: prefix + name, name: prefix + name, plan });
      }
      if (!isTied || (quantize.lmHead === undefined && quantize.embedding === undefined)) continue;
      if (files.weights.llm.names.includes(LM_HEAD)) dropped.add(prefix + LM_HEAD);
      const table = files.weights.llm.stored(EMBEDDING);
      const plan = table && splitsTiedHead(quantize) ? planTensor("llm", LM_HEAD, table.shape, quantize) : null;
      if (!table || !plan) continue;
      expectFloats(EMBEDDING, table.storedDType, files.weights.llm.label);
      unties = true;
      matrices.set(prefix + LM_HEAD, { from: prefix + EMBEDDING, name: prefix + LM_HEAD, plan });
    }
    if (matrices.size > 0) expectNoQuantization(folder);
    return { folder, ...weightFilesOf(folder), matrices, dropped, unties };
  });
  if (plans.every(({ matrices }) => matrices.size === 0)) {
    throw new RequestError("quantize", `${files.label} holds no matrix that the options name`);
  }
  return plans;
}

/** A second description would replace the first one. */
function expectNoQuantization(folder: string): void {
  const path = join(folder, "config.json");
  const config = readJsonFile(path);
  if (!isJsonObject(config) || !isJsonObject(config.quantization_config)) return;
  throw new RequestError(
    "quantize",
    `${path} describes a model that is quantised already. You can quantise the original model`,
  );
}

function expectFloats(name: string, storedDType: string, label: string): void {
  if (FLOAT_DTYPES.includes(storedDType)) return;
  if (storedDType.startsWith("INT")) {
    throw new RequestError(
      "quantize",
      `"${name}" in ${label} is quantised already. You can quantise the original model, or leave this part as it is`,
    );
  }
  throw new UnsupportedError(
    "quantize",
    `"${name}" in ${label} has dtype ${storedDType}, expected ${FLOAT_DTYPES.join(", ")}`,
  );
}

async function writeInto(
  target: string,
  files: CheckpointFiles,
  plans: readonly FolderPlan[],
  options: QuantizeCheckpointOptions,
): Promise<readonly PartReport[]> {
  const { signal, quantizer = bestQuantizer() } = options;
  const place = (path: string): string => join(target, relative(files.path, path));
  await expectSpace("quantize", target, files.sizeBytes);
  const bytesTotal = await totalBytes(plans);
  let bytesDone = 0;
  const onBytes =
    (label: string) =>
    (bytes: number): void => {
      bytesDone += bytes;
      options.onProgress?.({ label, bytesDone, bytesTotal });
    };
  await copyOthers(files, plans, place, signal);
  const matrices: Record<Part, MatrixReport[]> = { llm: [], vision: [], projector: [] };
  for (const plan of plans) {
    await mkdir(place(plan.folder), { recursive: true });
    const label = relative(files.path, plan.folder) || files.label;
    if (plan.matrices.size === 0) {
      for (const name of [...plan.files, ...(plan.index === null ? [] : [plan.index])]) {
        signal?.throwIfAborted();
        await copyWritable(join(plan.folder, name), join(place(plan.folder), name));
        onBytes(label)((await stat(join(plan.folder, name))).size);
      }
      continue;
    }
    for (const report of await writeFolder(plan, place(plan.folder), { quantizer, signal, onBytes: onBytes(label) })) {
      matrices[partOf(files, plan.folder, report.name)].push(report);
    }
    await writeConfig(files, plan, place(plan.folder));
  }
  if (options.isPacked) await packCheckpoint(target, signal ? { signal } : {});
  // Read back: what was written is a whole checkpoint, and its sizes are those that a reader sees.
  return reportParts(files, await openCheckpoint(target), matrices);
}

async function totalBytes(plans: readonly FolderPlan[]): Promise<number> {
  let bytes = 0;
  for (const { folder, files } of plans) for (const name of files) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

/** Configuration, tokenizer, code: everything that is no weight. */
async function copyOthers(
  files: CheckpointFiles,
  plans: readonly FolderPlan[],
  place: (path: string) => string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const weights = new Set(
    plans.flatMap(({ folder, files: names, index }) =>
      [...names, ...(index === null ? [] : [index])].map((name) => join(folder, name)),
    ),
  );
  const folders = new Set([
    ...plans.map(({ folder }) => folder),
    ...PART_FOLDERS.map((name) => join(files.path, name)),
  ]);
  for (const path of await filesBelow(files.path, [...folders])) {
    signal?.throwIfAborted();
    if (weights.has(path)) continue;
    await mkdir(dirname(place(path)), { recursive: true });
    await copyWritable(path, place(path));
  }
}

/** Files of a download cache may be read-only; a model of one's own is not. */
async function copyWritable(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  await chmod(target, (await stat(source)).mode | constants.S_IWUSR);
}

async function writeFolder(
  plan: FolderPlan,
  target: string,
  options: Parameters<typeof quantizeFile>[1],
): Promise<readonly MatrixReport[]> {
  const reports: MatrixReport[] = [];
  const weightMap: [string, string][] = [];
  let dataBytes = 0;
  for (const name of plan.files) {
    const source = join(plan.folder, name);
    const names = new Set(openSafetensors(source, { isMapped: false }).names);
    const matrices = [...plan.matrices.values()].filter(({ from }) => names.has(from));
    const written = await quantizeFile(
      { source, target: join(target, name), matrices, dropped: plan.dropped },
      options,
    );
    reports.push(...written.matrices);
    weightMap.push(...written.names.map((tensor) => [tensor, name] as [string, string]));
    dataBytes += written.dataBytes;
  }
  if (plan.index !== null) {
    const index = { metadata: { total_size: dataBytes }, weight_map: Object.fromEntries(weightMap) };
    await writeFile(join(target, plan.index), `${JSON.stringify(index, null, 2)}\n`);
  }
  return reports;
}

async function writeConfig(files: CheckpointFiles, plan: FolderPlan, target: string): Promise<void> {
  const config = readJsonFile(join(plan.folder, "config.json")) as Json; // opened before: an object
  const planned: PlannedMatrix[] = [...plan.matrices.values()];
  const parts = PARTS.filter((part) => files.folders[part] === plan.folder);
  const kept = parts.flatMap((part) =>
    files.weights[part].names
      .filter(
        (name) =>
          name.endsWith(".weight") && !/embed|norm/.test(name) && files.weights[part].stored(name)?.shape.length === 2,
      )
      .map((name) => prefixOf(files, part) + name)
      .filter((name) => !plan.matrices.has(name) && !plan.dropped.has(name)),
  );
  const head = prefixOf(files, "llm") + LM_HEAD;
  if (parts.includes("llm") && !plan.matrices.has(head) && !kept.includes(head)) kept.push(head); // a tied one
  const untied = plan.unties ? { tie_word_embeddings: false } : {};
  const text =
    isJsonObject(config.text_config) && plan.unties ? { text_config: { ...config.text_config, ...untied } } : {};
  const written = { ...config, ...untied, ...text, quantization_config: quantizationConfig(planned, kept) };
  await writeFile(join(target, "config.json"), `${JSON.stringify(written, null, 2)}\n`);
}

/** The part to which a tensor of a folder belongs. */
function partOf(files: CheckpointFiles, folder: string, name: string): Part {
  const parts = PARTS.filter((part) => files.folders[part] === folder);
  return parts.find((part) => name.startsWith(prefixOf(files, part))) ?? parts[0];
}

function reportParts(
  before: CheckpointFiles,
  after: CheckpointFiles,
  matrices: Readonly<Record<Part, readonly MatrixReport[]>>,
): readonly PartReport[] {
  return PARTS.map((part) => {
    const rounded = matrices[part];
    const worst = rounded.reduce<MatrixReport | null>(
      (most, report) => (most === null || report.relativeError > most.relativeError ? report : most),
      null,
    );
    return {
      part,
      bytesBefore: storedBytes(before, part),
      bytesAfter: storedBytes(after, part),
      matrices: rounded.length,
      meanRelativeError:
        rounded.length === 0
          ? null
          : rounded.reduce((sum, { relativeError }) => sum + relativeError, 0) / rounded.length,
      worst,
    };
  });
}

function storedBytes(files: CheckpointFiles, part: Part): number {
  const source = files.weights[part];
  return source.names.reduce((sum, name) => sum + (source.stored(name)?.byteLength ?? 0), 0);
}
