/**
 * Names that come from users and servers, checked before they become parts of URLs and of paths on disk: repository ids,
 * revisions, file names, content tags, commits. Knows no network and no file system.
 */
import { RequestError } from "../util/errors.ts";

/** A model on the hub and the branch, tag or commit that is wanted. */
export interface HubId {
  readonly repoId: string;
  readonly revision: string;
}

const REPO_PART = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
const MAX_NAME_LENGTH = 96;
const MAX_PATH_LENGTH = 1024;

/**
 * "org/name" by the hub's own rules.
 *
 * @throws RequestError when it is not one.
 */
export function checkRepoId(repoId: string): string {
  const parts = typeof repoId === "string" ? repoId.split("/") : [];
  const isValid =
    parts.length === 2 &&
    parts.every((part) => part.length <= MAX_NAME_LENGTH && REPO_PART.test(part)) &&
    !/--|\.\.|\.git$/.test(repoId);
  if (!isValid) {
    throw new RequestError(
      "hub",
      `expected a model id of the form org/name, got ${JSON.stringify(repoId)?.slice(0, 120)}`,
    );
  }
  return repoId;
}

/**
 * A branch, tag, pull-request ref or commit.
 *
 * @throws RequestError when it could leave its folder or is no revision name.
 */
export function checkRevision(revision: string): string {
  const isValid =
    typeof revision === "string" &&
    revision.length <= 255 &&
    /^[A-Za-z0-9_.+/-]+$/.test(revision) &&
    revision.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
  if (!isValid) {
    throw new RequestError(
      "hub",
      `expected a branch, tag or commit as revision, got ${JSON.stringify(revision)?.slice(0, 120)}`,
    );
  }
  return revision;
}

/**
 * "org/name" or "org/name@revision".
 *
 * @throws RequestError when a part is not valid.
 */
export function parseHubId(text: string): HubId {
  const at = text.indexOf("@");
  return at < 0
    ? { repoId: checkRepoId(text), revision: "main" }
    : { repoId: checkRepoId(text.slice(0, at)), revision: checkRevision(text.slice(at + 1)) };
}

/** True for a full commit hash, which names its content for ever. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/**
 * A file name as a server lists it: relative, with forward slashes, and unable to leave the folder it is put in on any
 * operating system.
 *
 * @throws RequestError when it is anything else.
 */
export function checkRepoPath(path: unknown): string {
  const isValid =
    typeof path === "string" &&
    path.length > 0 &&
    path.length <= MAX_PATH_LENGTH &&
    !hasControlOrReserved(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[. ]$/.test(part));
  if (!isValid) {
    throw new RequestError(
      "hub",
      `refused a file name that the server sent: ${JSON.stringify(path)?.slice(0, 120)}. Names must stay inside the model's folder`,
    );
  }
  return path;
}

/** Control characters, and what Windows takes for a drive, a folder or a pattern. */
function hasControlOrReserved(path: string): boolean {
  for (const character of path) {
    if (character.charCodeAt(0) < 32 || '\\:*?"<>|\u007f'.includes(character)) return true;
  }
  return false;
}

/**
 * A content tag becomes a file name in `blobs/`. Quotes and the weak mark are taken off.
 *
 * @throws RequestError when the rest could not be a plain file name.
 */
export function checkEtag(raw: string): string {
  const etag = raw.replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(etag) || /\.(incomplete|lock)$/.test(etag)) {
    throw new RequestError("hub", `refused a content tag that the server sent: ${JSON.stringify(raw).slice(0, 120)}`);
  }
  return etag;
}
