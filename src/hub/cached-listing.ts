/**
 * `trees/<commit>.json`: the listing of a commit, kept for ever because a commit never changes. The format is that of
 * huggingface_hub 2.0 (`_tree_cache.py`), which reads ours as we read its:
 * `{ "format_version": 1, "files": { "<path>": { "size", "blob_id", "lfs_sha256"?, "lfs_size"?, "xet_hash"? } } }`.
 * With it the cache knows offline whether a snapshot is complete.
 */
import { readFile } from "node:fs/promises";
import type { HubCache } from "./hub-cache.ts";
import { type RepoFile, repoFile } from "./repo-file.ts";

const FORMAT_VERSION = 1;

/** Null when there is none or it is not in this format. */
export async function readListing(cache: HubCache, commit: string): Promise<RepoFile[] | null> {
  try {
    const { format_version: version, files } = JSON.parse(await readFile(cache.listingPath(commit), "utf8"));
    if (version !== FORMAT_VERSION) return null;
    const listing = Object.entries(files as Record<string, Record<string, unknown>>).map(([path, info]) =>
      repoFile(path, info.lfs_size ?? info.size, info.blob_id, info.lfs_sha256, info.xet_hash),
    );
    return listing.every((file) => file !== null) ? listing : null;
  } catch {
    return null; // none, or damaged: the hub is asked again
  }
}

export async function writeListing(cache: HubCache, commit: string, files: readonly RepoFile[]): Promise<void> {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const entries = sorted.map((file): [string, object] => [
    file.path,
    {
      size: file.sizeBytes,
      blob_id: file.blobId,
      ...(file.sha256 === null ? {} : { lfs_sha256: file.sha256, lfs_size: file.sizeBytes }),
      ...(file.xetHash === null ? {} : { xet_hash: file.xetHash }),
    },
  ]);
  const text = JSON.stringify({ format_version: FORMAT_VERSION, files: Object.fromEntries(entries) }, null, 1);
  await cache.writeWhole(cache.listingPath(commit), text);
}
