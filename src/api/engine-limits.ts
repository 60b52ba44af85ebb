/** How much a model may do at once: options of `loadModel`, their defaults and their check. */
import { blocksFor, Int8KvPool, KV_BLOCK_SIZE, type KvFormat, KvPool, type KvSize } from "../nn/paged-kv.ts";
import { RequestError } from "../util/errors.ts";

/** Limits of the requests on one model. */
export interface EngineLimitOptions {
  /**
   * Memory for keys and values of all requests, and of finished ones whose beginnings may come again. Committed as it is used. Default:
   * 1 GiB, at least one whole context, no more than `maxConcurrent` contexts.
   */
  readonly kvMemoryBytes?: number;
  /**
   * How keys and values are stored: as they are, or as int8 with a scale per position and head, which holds almost four times as many
   * positions and is off by at most 1/254 of a head's largest number. Default "f32".
   */
  readonly kvCache?: KvFormat;
  /** Memory for encoded pictures and videos that may be asked about again. Default 256 MiB. */
  readonly visionCacheBytes?: number;
  /** Memory for pictures and videos that are decoded and cut and may be asked about again. Default 256 MiB. */
  readonly mediaCacheBytes?: number;
  /** Requests that are worked on at once; further ones wait. Default 8. */
  readonly maxConcurrent?: number;
  /** Requests that may wait; further ones are refused with a BusyError. Default 1000. */
  readonly maxQueue?: number;
}

export type EngineLimits = Required<EngineLimitOptions>;

const DEFAULT_KV_BYTES = 2 ** 30;
const CACHE_BYTES = 256 * 2 ** 20;

/** The options with their defaults. @throws RequestError when one is out of its range. */
export function engineLimits(options: EngineLimitOptions, kv: KvSize, contextLength: number): EngineLimits {
  const { kvCache = "f32", visionCacheBytes = CACHE_BYTES, mediaCacheBytes = CACHE_BYTES } = options;
  const { maxConcurrent = 8, maxQueue = 1000 } = options;
  if (kvCache !== "f32" && kvCache !== "int8") {
    throw new RequestError("model", `expected kvCache to be "f32" or "int8", got ${JSON.stringify(kvCache)}`);
  }
  const contextBytes = blocksFor(contextLength) * blockBytes(kvCache, kv);
  const { kvMemoryBytes = Math.max(contextBytes, Math.min(DEFAULT_KV_BYTES, contextBytes * maxConcurrent)) } = options;
  expectWhole("kvMemoryBytes", kvMemoryBytes, 1);
  expectWhole("visionCacheBytes", visionCacheBytes, 0);
  expectWhole("mediaCacheBytes", mediaCacheBytes, 0);
  expectWhole("maxConcurrent", maxConcurrent, 1);
  expectWhole("maxQueue", maxQueue, 0);
  return { kvMemoryBytes, kvCache, visionCacheBytes, mediaCacheBytes, maxConcurrent, maxQueue };
}

/** Memory of the keys and values of `positions`. */
export function kvBytes(kvCache: KvFormat, kv: KvSize, positions: number): number {
  return (blockBytes(kvCache, kv) / KV_BLOCK_SIZE) * positions;
}

function blockBytes(kvCache: KvFormat, kv: KvSize): number {
  return (kvCache === "int8" ? Int8KvPool : KvPool).blockBytes(kv);
}

function expectWhole(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RequestError("model", `expected ${name} to be a whole number of at least ${least}, got ${String(value)}`);
}
