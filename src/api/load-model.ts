/** From a folder or a hub id to a model that answers. */
import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { registerCpuBackend } from "../backend/cpu/register.ts";
import { createBackend, type DeviceName } from "../backend/registry.ts";
import { Weights } from "../checkpoint/weights.ts";
import type { HubOptions } from "../hub/hub-settings.ts";
import { pullModel } from "../hub/pull-model.ts";
import { parseHubId } from "../hub/repo-id.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { withPackedCopy } from "../io/packed-copy.ts";
import { type NvilaConfig, parseNvilaConfig } from "../models/nvila/config.ts";
import { NvilaModel, type NvilaTokens } from "../models/nvila/nvila-model.ts";
import type { QuantizeOptions } from "../quant/quantize-plan.ts";
import { createTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { RequestError } from "../util/errors.ts";
import { type EngineLimitOptions, engineLimits } from "./engine-limits.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { Nvila } from "./nvila.ts";
import type { Progress } from "./progress.ts";
import { type ModelParts, quantizedParts } from "./quantize-at-load.ts";

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
  return new Nvila(await openModel(pathOrHubId, options));
}

/** `loadModel` without the user's handle around it. */
export async function openModel(pathOrHubId: string, options: LoadOptions = {}): Promise<LoadedModel> {
  const { onWarning = console.warn, signal } = options;
  const { name, folder } = await findCheckpoint(pathOrHubId, options);
  const startMs = performance.now();
  signal?.throwIfAborted();
  const backend = openBackend(options, onWarning);
  const files = await openCheckpoint(folder, { onWarning });
  const config = parseNvilaConfig(files.configs, { overrides: options.overrides ?? {}, label: files.label });
  const tokenizer = createTokenizer(files.tokenizer);
  signal?.throwIfAborted();
  const parts = options.quantize
    ? quantizedParts(files, config.model, options.quantize, options.threads)
    : { weights: withPackedCopy(files, backend, onWarning), config: config.model };
  const model = new NvilaModel(weightsOf(parts, backend), parts.config, tokensOf(tokenizer, config));
  const contextLength = Number.isFinite(tokenizer.modelMaxLength) ? tokenizer.modelMaxLength : config.contextLength;
  return {
    name,
    files,
    config,
    tokenizer,
    model,
    backend,
    contextLength,
    limits: engineLimits(options, config.model.llm, contextLength),
    loadMs: performance.now() - startMs,
    framesAsImages: options.framesAsImages ?? false,
    onWarning,
  };
}

/** A folder of this machine, or a model of the hub that is in the cache or is downloaded now. */
async function findCheckpoint(pathOrHubId: string, options: LoadOptions): Promise<{ name: string; folder: string }> {
  if (typeof pathOrHubId !== "string" || pathOrHubId === "") {
    throw new RequestError("model", `expected a folder or a hub id, got ${JSON.stringify(pathOrHubId)}`);
  }
  const folder = resolve(pathOrHubId);
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

function openBackend({ device = "auto", threads }: LoadOptions, onWarning: (message: string) => void): Backend {
  registerCpuBackend();
  return createBackend(device, threads === undefined ? {} : { threads }, (reason) =>
    onWarning(`computing without the native addon, which is very slow: ${reason}`),
  );
}

function weightsOf({ weights }: ModelParts, backend: Backend): { llm: Weights; vision: Weights; projector: Weights } {
  const { llm, vision, projector } = weights;
  return {
    llm: new Weights(llm, backend),
    vision: new Weights(vision, backend),
    projector: new Weights(projector, backend),
  };
}

function tokensOf(tokenizer: Tokenizer, { imageEncoder, videoEncoder }: NvilaConfig): NvilaTokens {
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
