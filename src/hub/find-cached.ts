/**
 * Looks a model up in the cache without any request: which commit a revision had, which of its files are there and which
 * are missing. When the cache has no listing of the commit (older Python tools keep none), what is missing is told from
 * the snapshot itself: links to nothing, and shards that an index names.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, posix, relative, sep } from "node:path";
import { readListing } from "./cached-listing.ts";
import { HubCache } from "./hub-cache.ts";
import type { HubSettings } from "./hub-settings.ts";
import { wantedFiles } from "./repo-file.ts";
import { checkRepoPath, isCommit } from "./repo-id.ts";
import { isWantedFile } from "./wanted-files.ts";

export interface CachedModel {
  readonly snapshotDir: string;
  readonly commit: string;
  /** Paths within the snapshot that are there. */
  readonly files: readonly string[];
  /** Paths that should be there and are not. Empty: the model can be used. */
  readonly missing: readonly string[];
  /** True when the hub's own listing was there to compare with. */
  readonly isListed: boolean;
}

const INDEX = /\.safetensors\.index\.json$/;

/** Null when nothing is known of the revision. `repoId` and `revision` must be checked (repo-id.ts). */
export async function findCached(
  repoId: string,
  revision: string,
  settings: Pick<HubSettings, "cacheDir" | "usesSymlinks">,
): Promise<CachedModel | null> {
  const cache = new HubCache(repoId, settings);
  const commit = isCommit(revision) ? revision : await cache.readRef(revision);
  if (commit === null) return null;
  const snapshotDir = cache.snapshotDir(commit);
  const listing = await readListing(cache, commit);
  if (listing !== null) {
    const files: string[] = [];
    const missing: string[] = [];
    for (const file of wantedFiles(listing)) {
      ((await cache.hasFile(commit, file)) ? files : missing).push(file.path);
    }
    return { snapshotDir, commit, files: files.sort(), missing: missing.sort(), isListed: true };
  }
  const found = await lookThrough(snapshotDir);
  return found === null ? null : { snapshotDir, commit, ...found, isListed: false };
}

async function lookThrough(snapshotDir: string): Promise<Pick<CachedModel, "files" | "missing"> | null> {
  let names: string[];
  try {
    const entries = await readdir(snapshotDir, { recursive: true, withFileTypes: true });
    names = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(snapshotDir, join(entry.parentPath, entry.name)).split(sep).join("/"));
  } catch {
    return null;
  }
  const files: string[] = [];
  const missing = new Set<string>();
  for (const name of names.filter(isWantedFile)) {
    if (await isFile(join(snapshotDir, name))) files.push(name);
    else missing.add(name);
  }
  for (const index of files.filter((name) => INDEX.test(name))) {
    for (const shard of await shardsOf(join(snapshotDir, index))) {
      const name = posix.join(dirname(index), shard);
      if (!files.includes(name)) missing.add(name);
    }
  }
  if (!files.includes("config.json")) missing.add("config.json");
  if (!files.some((name) => name.endsWith(".safetensors")) && missing.size === 0) missing.add("*.safetensors");
  return { files: files.sort(), missing: [...missing].sort() };
}

/** The files that an index of weights names; none when it is damaged, which is for the loader to tell. */
async function shardsOf(path: string): Promise<string[]> {
  try {
    const { weight_map: map } = JSON.parse(await readFile(path, "utf8")) as { weight_map?: Record<string, unknown> };
    return [...new Set(Object.values(map ?? {}))].map(checkRepoPath);
  } catch {
    return [];
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
