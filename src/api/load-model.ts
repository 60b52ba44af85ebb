/** From a folder or a hub id to a model that answers. */
import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Int4Activations } from "../backend/backend.ts";
import type { DeviceName } from "../backend/registry.ts";
import { Engine } from "../engine/engine.ts";
import type { ConstraintFor } from "../engine/token-constraint.ts";
import { createConstraintCompiler } from "../grammar/answer-constraint.ts";
import type { HubOptions } from "../hub/hub-settings.ts";
import { pullModel } from "../hub/pull-model.ts";
import { parseHubId } from "../hub/repo-id.ts";
import { localCheckpoint } from "../io/bundled-model.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { type NvilaConfig, parseNvilaConfig } from "../models/nvila/config.ts";
import { modelFacts } from "../models/nvila/model-facts.ts";
import type { NvilaTokens } from "../models/nvila/nvila-model.ts";
import { S2Merge } from "../models/nvila/s2-merge.ts";
import type { QuantizeOptions } from "../quant/quantize-plan.ts";
import { openTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { assert } from "../util/assert.ts";
import { RequestError } from "../util/errors.ts";
import { type BuildOptions, buildModel, openBackend } from "../worker/build-model.ts";
import { EngineClient } from "../worker/engine-client.ts";
import { LocalEngine } from "../worker/local-engine.ts";
import { createPace } from "../worker/pace.ts";
import { type EngineLimitOptions, type EngineLimits, engineLimits } from "./engine-limits.ts";
import type { LoadedModel, LocalModel } from "./loaded-model.ts";
import { MediaCache } from "./media-cache.ts";
import { Nvila } from "./nvila.ts";
import type { Progress } from "./progress.ts";

/** Where a model comes from and what it runs on. */
export interface LoadOptions extends EngineLimitOptions {
  /** What computes. Default "auto": the native addon where it was built, else the reference backend, with a warning. */
  readonly device?: DeviceName;
  /** Worker threads. Default: what the machine can run at once. */
  readonly threads?: number;
  /** Keys that replace those of the checkpoint's config.json: `{ max_tiles: 4 }`. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /**
   * Quantises while loading: `{ llm: "w4a16", vision: "w8a8" }` gives int4 weights in groups of 128 to the language model and int8 to the
   * vision tower. Default: weights as they are stored. `nvila quantize` does the same once and for all.
   */
  readonly quantize?: QuantizeOptions;
  /**
   * What activations are rounded to in front of int4 weights: "int8" is fastest, "int16" and "int24" are nearer to products with activations
   * as they are. Default "int8".
   */
  readonly int4Activations?: Int4Activations;
  /** Compute in a thread of its own, so that this one is never busy with arithmetic. Default true. */
  readonly worker?: boolean;
  /** Give video frames to the model as pictures, as later versions of the original do. Default false. */
  readonly framesAsImages?: boolean;
  /** Hub ids: branch, tag or commit. Default "main". */
  readonly revision?: string;
  /** Hub ids: look only into the download cache. Default: `HF_HUB_OFFLINE`. */
  readonly offline?: boolean;
  /** Hub ids: the cache folder. Default: `HF_HUB_CACHE`, else `HF_HOME`/hub, else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string;
  /** Hub ids: the server. Default: `HF_ENDPOINT`, else the public hub. */
  readonly endpoint?: string;
  /** Hub ids: access token; null sends none. Default: `HF_TOKEN`, else the login of the Python tools. */
  readonly token?: string | null;
  /** Stops loading and downloading. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Told once for each thing that is not as one would expect: a slow fallback, odd text in a prompt. Default: console.warn. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Loads a model. Weights are mapped, not read, so that a large one opens at once.
 *
 * @param pathOrHubId A checkpoint folder, or `org/name` (`org/name@revision`) on the Hugging Face hub, which is downloaded once.
 * @throws RequestError when there is neither; ConfigError, WeightsError or UnsupportedError when the checkpoint cannot be used;
 * DeviceError when the device cannot run; the signal's reason on abort.
 * @example
 * const model = await loadModel("Efficient-Large-Model/NVILA-Lite-2B");
 * const { text } = await model.generate([image("photo.jpg"), "Describe the picture."]);
 */
export async function loadModel(pathOrHubId: string, options: LoadOptions = {}): Promise<Nvila> {
  return new Nvila(await (options.worker === false ? openModel : startModel)(pathOrHubId, options));
}

/** What a model is, its weights aside. */
interface OpenedFiles
  extends Pick<LoadedModel, "name" | "files" | "config" | "tokenizer" | "tokens" | "s2" | "contextLength"> {
  readonly folder: string;
  readonly limits: EngineLimits;
  /** Reads the rest of the tokenizer. */
  readonly complete: () => void;
}

/** The model in a thread of its own, which opens the weights while this one reads the tokenizer. */
async function startModel(pathOrHubId: string, options: LoadOptions): Promise<LoadedModel> {
  const { onWarning = console.warn, signal } = options;
  const found = await findCheckpoint(pathOrHubId, options);
  const startMs = performance.now();
  signal?.throwIfAborted();
  const setup = { folder: found.folder, overrides: options.overrides ?? {}, build: buildOptions(options) };
  let tokenizer: Tokenizer | null = null;
  const engine = new EngineClient(setup, onWarning, () => {
    assert(tokenizer !== null, "a constraint was asked for before the tokenizer was there");
    return { vocabulary: tokenizer.vocabulary(), stopIds: tokenizer.stopIds };
  });
  const stop = (): void => void engine.close(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const opened = await openFiles(found, options);
    tokenizer = opened.tokenizer;
    const loading = engine.load({ tokens: opened.tokens, limits: opened.limits });
    loading.catch(() => {}); // awaited below, unless the tokenizer is damaged
    opened.complete(); // while the other thread builds the model
    const { facts, device, threads } = await loading;
    const loadMs = performance.now() - startMs;
    return { ...loadedFrom(opened, options), facts, device, threads, loadMs, openEngine: () => engine };
  } catch (error) {
    await engine.close(error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The model in this thread, without the user's handle around it. */
export async function openModel(pathOrHubId: string, options: LoadOptions = {}): Promise<LocalModel> {
  const { onWarning = console.warn, signal } = options;
  const found = await findCheckpoint(pathOrHubId, options);
  const startMs = performance.now();
  signal?.throwIfAborted();
  const build = buildOptions(options);
  const backend = openBackend(build, onWarning);
  const opened = await openFiles(found, options);
  opened.complete();
  signal?.throwIfAborted();
  const { files, config, tokens, limits, tokenizer } = opened;
  const model = buildModel(files, config.model, tokens, backend, build, onWarning);
  let compile: ConstraintFor | null = null;
  const constraintFor: ConstraintFor = (spec) => {
    compile ??= createConstraintCompiler(tokenizer.vocabulary(), tokenizer.stopIds);
    return compile(spec);
  };
  const makeEngine = (): Engine => {
    const pace = createPace(new AbortController().signal); // stopping is the engine's own affair
    return new Engine(model, { ...limits, now: () => performance.now(), pace, constraintFor });
  };
  return {
    ...loadedFrom(opened, options),
    facts: modelFacts(model),
    device: backend.name,
    threads: backend.threads,
    loadMs: performance.now() - startMs,
    openEngine: () => new LocalEngine(makeEngine),
    model,
    backend,
  };
}

async function openFiles({ name, folder }: FoundCheckpoint, options: LoadOptions): Promise<OpenedFiles> {
  const { onWarning = console.warn, overrides = {} } = options;
  const files = await openCheckpoint(folder, { onWarning });
  const config = parseNvilaConfig(files.configs, { overrides, label: files.label });
  const { tokenizer, complete } = openTokenizer(files.tokenizer);
  const contextLength = Number.isFinite(tokenizer.modelMaxLength) ? tokenizer.modelMaxLength : config.contextLength;
  const { s2Scales, s2ResizeOutputToScaleIdx } = config.model;
  return {
    name,
    folder,
    files,
    config,
    tokenizer,
    complete,
    tokens: tokensOf(tokenizer, config),
    s2: s2Scales ? new S2Merge(s2Scales, s2ResizeOutputToScaleIdx) : null,
    contextLength,
    limits: engineLimits(options, config.model.llm, contextLength),
  };
}

/** What is the same wherever the model runs. */
function loadedFrom({ folder: _folder, complete: _complete, ...opened }: OpenedFiles, options: LoadOptions) {
  const { framesAsImages = false, onWarning = console.warn } = options;
  return { ...opened, mediaCache: new MediaCache(opened.limits.mediaCacheBytes), framesAsImages, onWarning };
}

/** @throws RequestError when `int4Activations` is none of the three. */
function buildOptions({ device = "auto", threads, quantize, int4Activations = "int8" }: LoadOptions): BuildOptions {
  if (!["int8", "int16", "int24"].includes(int4Activations)) {
    const got = JSON.stringify(int4Activations);
    throw new RequestError("model", `expected int4Activations to be "int8", "int16" or "int24", got ${got}`);
  }
  return { device, threads: threads ?? null, quantize: quantize ?? null, int4Activations };
}

interface FoundCheckpoint {
  readonly name: string;
  readonly folder: string;
}

/** A folder of this machine, the bundled model, or a model of the hub that is in the cache or is downloaded now. */
async function findCheckpoint(pathOrHubId: string, options: LoadOptions): Promise<FoundCheckpoint> {
  if (typeof pathOrHubId !== "string" || pathOrHubId === "") {
    throw new RequestError("model", `expected a folder or a hub id, got ${JSON.stringify(pathOrHubId)}`);
  }
  const folder = resolve(localCheckpoint(pathOrHubId));
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory()) return { name: nameOfFolder(folder), folder };
  if (status) throw new RequestError("model", `expected a checkpoint folder, got a file: ${folder}`);
  if (!isHubId(pathOrHubId)) {
    throw new RequestError(
      "model",
      `expected a checkpoint folder or a hub id of the form org/name, got "${pathOrHubId}", which is no hub id, and there is no folder ${folder}`,
    );
  }
  const { signal, revision, onProgress, onWarning = console.warn } = options;
  const pulled = await pullModel(pathOrHubId, {
    ...hubOptionsOf(options),
    revision,
    signal,
    onWarning,
    onProgress: ({ bytesDone, bytesTotal }) =>
      onProgress?.({ stage: "download", label: "bytes downloaded", done: bytesDone, total: bytesTotal }),
  }).catch((error: unknown) => {
    if (!(error instanceof RequestError)) throw error;
    const reason = `there is no folder ${folder}, and as a hub id: ${error.message}`;
    throw new RequestError("model", reason, { cause: error });
  });
  return { name: pathOrHubId, folder: pulled.snapshotDir };
}

function isHubId(text: string): boolean {
  try {
    parseHubId(text);
    return true;
  } catch {
    return false;
  }
}

/** The options that were given; the rest come from the environment. */
function hubOptionsOf({ offline, cacheDir, endpoint, token }: LoadOptions): HubOptions {
  return {
    ...(offline === undefined ? {} : { offline }),
    ...(cacheDir === undefined ? {} : { cacheDir }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(token === undefined ? {} : { token }),
  };
}

function nameOfFolder(folder: string): string {
  const name = basename(folder);
  return name === "model" ? basename(resolve(folder, "..")) || name : name || folder;
}

export function tokensOf(tokenizer: Tokenizer, { imageEncoder, videoEncoder }: NvilaConfig): NvilaTokens {
  const ids = (text: string | null): Int32Array => Int32Array.from(text === null ? [] : tokenizer.encode(text));
  const around = (encoder: { startTokens: string | null; endTokens: string | null }) => ({
    start: ids(encoder.startTokens),
    end: ids(encoder.endTokens),
  });
  return {
    count: tokenizer.length,
    media: { image: tokenizer.imageId, video: tokenizer.videoId },
    imageEncoder: around(imageEncoder),
    videoEncoder: { ...around(videoEncoder), sep: ids(videoEncoder.sepTokens) },
  };
}
