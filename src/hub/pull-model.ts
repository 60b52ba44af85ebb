/**
 * Downloads a model into the Hugging Face cache, or finds it there. The order makes every stop harmless: listing, then
 * for each file contents under its unfinished name, hash, `blobs/<tag>`, link in the snapshot; the revision's name last.
 * So what a name leads to is complete, and an interrupted download goes on where it stopped.
 */
import { NvilaError, RequestError, UnsupportedError } from "../util/errors.ts";
import { readListing, writeListing } from "./cached-listing.ts";
import { downloadFile } from "./download-file.ts";
import { withFileLock } from "./file-lock.ts";
import { type CachedModel, findCached } from "./find-cached.ts";
import { checkFreeSpace } from "./free-space.ts";
import { HubCache } from "./hub-cache.ts";
import { TransientError } from "./hub-http.ts";
import { type HubAccess, listFiles, resolveCommit } from "./hub-listing.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./hub-settings.ts";
import { DEFAULT_TIMING, type HubTiming } from "./hub-timing.ts";
import { type FileMeter, PullMeter, type PullProgress } from "./pull-progress.ts";
import { contentTag, type RepoFile, wantedFiles } from "./repo-file.ts";
import { checkRepoId, checkRevision, type HubId, isCommit, parseHubId } from "./repo-id.ts";

/** What to download, from where and to where. */
export interface PullOptions extends HubOptions {
  /** Branch, tag or commit. Default: what follows @ in the id, else "main". */
  readonly revision?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: PullProgress) => void;
  /** Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
  /** Files that come at the same time. Default: 4. */
  readonly parallelFiles?: number;
  readonly timing?: Partial<HubTiming>;
}

/** Where the files of a model are. */
export interface PulledModel {
  /** The folder that holds the files, by their names in the repository. */
  readonly snapshotDir: string;
  readonly commit: string;
  /** Paths within `snapshotDir`, sorted. */
  readonly files: readonly string[];
}

const PARALLEL_FILES = 4;
/** Times that a file is begun anew because its lock was lost. */
const MAX_LOST_LOCKS = 3;

/** One content to bring. */
interface Job {
  readonly file: RepoFile;
  readonly meter: FileMeter;
  /** Other files with the same content. */
  readonly twins: { readonly file: RepoFile; readonly meter: FileMeter }[];
}

/** What all steps of one call share. */
interface Pull extends HubId {
  readonly settings: HubSettings;
  readonly cache: HubCache;
  readonly hub: HubAccess;
  readonly warn: (message: string) => void;
  /** Says once that another process is at work on the same files. */
  readonly onWait: () => void;
}

/**
 * @param hubId "org/name" or "org/name@revision".
 * @throws RequestError when the model cannot be had, with what to do about it; UnsupportedError when its weights are not
 * safetensors; the signal's reason when it is aborted. What was downloaded is kept in all cases.
 * @example
 * const { snapshotDir } = await pullModel("Efficient-Large-Model/NVILA-Lite-2B");
 */
export async function pullModel(hubId: string, options: PullOptions = {}): Promise<PulledModel> {
  const { repoId, revision } = whichRevision(hubId, options.revision);
  const settings = hubSettings(options);
  const { endpoint, token } = settings;
  const timing = { ...DEFAULT_TIMING, ...options.timing };
  const warn = options.onWarning ?? ((message: string) => process.emitWarning(message));
  const hub: HubAccess = { endpoint, token, timing, signal: options.signal, onPause: warn };
  const onWait = once(() => warn(`another download of ${repoId} is under way; waiting for its files`));
  const pull: Pull = { repoId, revision, settings, cache: new HubCache(repoId, settings), hub, warn, onWait };
  checkParallelFiles(options.parallelFiles);
  options.signal?.throwIfAborted();

  const cached = await findCached(repoId, revision, settings);
  const isWhole = cached !== null && cached.missing.length === 0;
  if (settings.offline) return offlineCopy(pull, cached);
  if (isWhole && cached.isListed && isCommit(revision)) return found(cached);

  let commit: string;
  let listing: RepoFile[];
  try {
    // With a copy at hand, one failure is enough to fall back to it.
    const asked = isWhole ? { ...hub, timing: { ...timing, attempts: 1 } } : hub;
    commit = isCommit(revision) ? revision : await resolveCommit(asked, repoId, revision);
    listing = (await readListing(pull.cache, commit)) ?? (await listFiles(asked, repoId, commit));
  } catch (error) {
    return copyInstead(pull, error, cached);
  }
  const files = neededFiles(listing, repoId);
  await fetchFiles(pull, commit, listing, files, options);
  const paths = files.map((file) => file.path).sort();
  return { snapshotDir: pull.cache.snapshotDir(commit), commit, files: paths };
}

function whichRevision(hubId: string, option: string | undefined): HubId {
  if (option === undefined) return parseHubId(hubId);
  const revision = checkRevision(option);
  if (typeof hubId !== "string" || !hubId.includes("@")) return { repoId: checkRepoId(hubId), revision };
  const id = parseHubId(hubId);
  if (id.revision === revision) return id;
  throw new RequestError("hub", `expected one revision, got "${id.revision}" in the id and "${revision}" as option`);
}

function checkParallelFiles(count: number = PARALLEL_FILES): void {
  if (Number.isSafeInteger(count) && count >= 1) return;
  throw new RequestError("hub", `expected a whole number of at least 1 as parallelFiles, got ${count}`);
}

/** The cache alone. @throws RequestError that names what is missing. */
function offlineCopy({ repoId, revision, cache }: Pull, cached: CachedModel | null): PulledModel {
  const command = `nvila pull ${revision === "main" ? repoId : `${repoId}@${revision}`}`;
  if (cached === null) {
    throw new RequestError(
      "hub",
      `${repoId}@${revision} is not in the cache (${cache.folder}) and the network is switched off. You can run \`${command}\` without --offline and HF_HUB_OFFLINE`,
    );
  }
  if (cached.missing.length > 0) {
    throw new RequestError(
      "hub",
      `${repoId}@${revision} is not complete in the cache (${cached.snapshotDir}): ${listed(cached.missing)} missing, and the network is switched off. You can run \`${command}\` without --offline and HF_HUB_OFFLINE`,
    );
  }
  return found(cached);
}

function found({ snapshotDir, commit, files }: CachedModel): PulledModel {
  return { snapshotDir, commit, files };
}

/** The hub could not be asked: a complete copy serves when the hub is away, not when it refuses. */
function copyInstead(pull: Pull, error: unknown, cached: CachedModel | null): PulledModel {
  const { repoId, revision, settings, warn } = pull;
  const isWhole = cached !== null && cached.missing.length === 0;
  if (error instanceof TransientError) {
    if (isWhole) {
      warn(
        `${error.message}; using the copy of ${repoId}@${revision} in the cache, commit ${cached.commit.slice(0, 12)}`,
      );
      return found(cached);
    }
    const held = cached === null ? "the cache has no copy" : `the copy in the cache lacks ${listed(cached.missing)}`;
    const proxy = settings.hasUnusedProxy
      ? ". A proxy is set in HTTPS_PROXY; Node uses it from version 24 on, with NODE_USE_ENV_PROXY=1"
      : "";
    throw new RequestError(
      "hub",
      `${error.message}, and ${held} of ${repoId}@${revision}. You can check the connection, or set HF_ENDPOINT to a mirror${proxy}`,
      { cause: error },
    );
  }
  if (isWhole && error instanceof RequestError) {
    throw new RequestError("hub", `${unwrapped(error)}. A complete copy is in the cache: --offline uses it`, {
      cause: error,
    });
  }
  throw error;
}

/** @throws UnsupportedError when the weights are not safetensors. */
function neededFiles(listing: readonly RepoFile[], repoId: string): RepoFile[] {
  const files = wantedFiles(listing);
  if (files.some((file) => file.path.endsWith(".safetensors"))) return files;
  const others = listing
    .map((file) => file.path)
    .filter((path) => /\.(bin|pt|pth|gguf|ckpt|h5|msgpack|onnx)$/.test(path));
  throw new UnsupportedError(
    "hub",
    `expected weights as *.safetensors in ${repoId}, got ${others.length > 0 ? listed(others) : "none"}`,
  );
}

async function fetchFiles(
  pull: Pull,
  commit: string,
  listing: readonly RepoFile[],
  files: readonly RepoFile[],
  options: PullOptions,
): Promise<void> {
  const { cache, revision, warn } = pull;
  const meter = new PullMeter(files, options.onProgress ?? (() => {}));
  const jobs = new Map<string, Job>();
  let neededBytes = 0;
  for (const file of files) {
    const fileMeter = meter.file(file);
    if (await cache.hasFile(commit, file)) {
      fileMeter.done();
      continue;
    }
    const job = jobs.get(contentTag(file));
    if (job !== undefined) {
      job.twins.push({ file, meter: fileMeter });
    } else {
      jobs.set(contentTag(file), { file, meter: fileMeter, twins: [] });
      if (!(await cache.hasBlob(file))) {
        const kept = await cache.partialBytes(file);
        fileMeter.reused(kept);
        neededBytes += file.sizeBytes - kept;
      }
    }
  }
  const noteListing = (): Promise<void> => writeListing(cache, commit, listing);
  const noteRevision = async (): Promise<void> => {
    if (!isCommit(revision)) await cache.writeRef(revision, commit);
  };
  if (jobs.size === 0) {
    // A cache that is complete may lie on a disk that cannot be written.
    await Promise.all([noteListing(), noteRevision()]).catch((error) => warn(unwrapped(error)));
    return;
  }
  await checkFreeSpace(cache.folder, neededBytes);
  await cache.createBlobFolder();
  await noteListing();
  // Large ones first: then all lanes end at about the same time.
  const largestFirst = [...jobs.values()].sort((a, b) => b.file.sizeBytes - a.file.sizeBytes);
  await inLanes(largestFirst, options.parallelFiles ?? PARALLEL_FILES, pull.hub.signal, async (job, signal) => {
    await fetchBlob({ ...pull, hub: { ...pull.hub, signal } }, commit, job);
    for (const place of [job, ...job.twins]) {
      if (!(await cache.hasFile(commit, place.file))) await cache.linkFile(commit, place.file);
      place.meter.done();
    }
  });
  await noteRevision();
}

/** Runs `work` on all items, a few at a time. The first failure stops the others, and is thrown once they have stopped. */
async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const both = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const queue = [...items];
  let first: { readonly error: unknown } | null = null;
  const lane = async (): Promise<void> => {
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item, both);
    } catch (error) {
      first ??= { error };
      queue.length = 0;
      stop.abort(error);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (first !== null) throw (first as { readonly error: unknown }).error;
}

/** Sees to it that the content of a file lies in `blobs/`, whoever brings it. */
async function fetchBlob(pull: Pull, commit: string, { file, meter }: Job): Promise<void> {
  const { cache, hub, repoId, onWait } = pull;
  const { timing, signal } = hub;
  const download = {
    repoId,
    commit,
    file,
    meter,
    partialPath: cache.partialPath(file),
    blobPath: cache.blobPath(file),
  };
  for (let lost = 1; ; lost++) {
    try {
      return await withFileLock(cache.lockPath(file), { timing, signal, onWait }, async (held) => {
        if (!(await cache.hasBlob(file))) await downloadFile(download, { ...hub, signal: held });
      });
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (lost >= MAX_LOST_LOCKS) {
        throw new RequestError("hub", `${file.path} of ${repoId}: ${error.message}, ${lost} times`, { cause: error });
      }
    }
  }
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}

/** "a, b and 3 more". */
function listed(names: readonly string[]): string {
  const rest = names.length - 3;
  return rest > 0 ? `${names.slice(0, 3).join(", ")} and ${rest} more` : names.join(", ");
}

/** A message without its "[hub]". */
function unwrapped(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return error instanceof NvilaError ? text.slice(error.where.length + 3) : text;
}
