/**
 * One file of a repository as the hub lists it, and the hash that its content must have. Small files lie in git: their
 * tag is the git object id, sha1("blob <size>\0" + content). Large ones lie in LFS or Xet storage: their tag is the plain
 * sha256. The tag is also the file's name in `blobs/` (hub-docs, docs/hub/local-cache.md). Knows no network and no disk.
 */
import { createHash, type Hash } from "node:crypto";
import { RequestError } from "../util/errors.ts";
import { checkRepoPath } from "./repo-id.ts";
import { isWantedFile } from "./wanted-files.ts";

export interface RepoFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Git object id: of the content, or of the pointer that stands in its place. */
  readonly blobId: string;
  /** Of the content, for files in large storage; else null. */
  readonly sha256: string | null;
  /** Name in Xet storage. Kept for the Python tools that share the cache. */
  readonly xetHash: string | null;
}

const SHA256 = /^[0-9a-f]{64}$/;
const GIT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * Checks the plain values of a listing. The path is not judged here: a repository may hold odd names that nobody wants.
 *
 * @returns null when a value is not of its kind.
 */
export function repoFile(
  path: unknown,
  sizeBytes: unknown,
  blobId: unknown,
  sha256: unknown,
  xetHash: unknown,
): RepoFile | null {
  const isValid =
    typeof path === "string" &&
    typeof sizeBytes === "number" &&
    Number.isSafeInteger(sizeBytes) &&
    sizeBytes >= 0 &&
    typeof blobId === "string" &&
    GIT_ID.test(blobId) &&
    (sha256 == null || (typeof sha256 === "string" && SHA256.test(sha256)));
  if (!isValid) return null;
  const xet = typeof xetHash === "string" && SHA256.test(xetHash) ? xetHash : null;
  return { path, sizeBytes, blobId, sha256: (sha256 as string | null | undefined) ?? null, xetHash: xet };
}

/**
 * The files of a listing that a model needs.
 *
 * @throws RequestError when one of them has a name that could leave the model's folder, or stands there twice; or when
 * any name of the listing tries to.
 */
export function wantedFiles(files: readonly RepoFile[]): RepoFile[] {
  for (const { path } of files) {
    if (path.split("/").some((part) => part === "" || part === "." || part === "..")) checkRepoPath(path); // no git path
  }
  const wanted = files.filter((file) => isWantedFile(file.path));
  const seen = new Set<string>();
  for (const { path } of wanted) {
    checkRepoPath(path);
    if (seen.has(path)) throw new RequestError("hub", `expected each file once in the listing, got "${path}" twice`);
    seen.add(path);
  }
  return wanted;
}

/** The content's hash in hexadecimal: the file's name in `blobs/`. */
export function contentTag(file: RepoFile): string {
  return file.sha256 ?? file.blobId;
}

/** A hash that gives `contentTag(file)` when it is fed with the right content. */
export function contentHash(file: RepoFile): Hash {
  if (file.sha256 !== null) return createHash("sha256");
  return createHash(file.blobId.length === 40 ? "sha1" : "sha256").update(`blob ${file.sizeBytes}\0`);
}
