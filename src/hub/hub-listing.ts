/**
 * Asks the hub which commit a revision is and which files that commit holds, the way huggingface_hub 2.0 does
 * (`snapshot_download`): `GET /api/models/{repo}/revision/{rev}` gives the commit as `sha`, then
 * `GET /api/models/{repo}/tree/{commit}?recursive=true` gives entries `{ type, path, size, oid, lfs?: { oid, size },
 * xetHash? }` in pages; a `Link: <…>; rel="next"` header leads to the next one. (`revision/{rev}?blobs=true` also lists
 * sizes and hashes, as `siblings`, but cuts the list of large repositories.) `resolve/{commit}/{path}` is the file itself.
 * Knows nothing about the cache.
 */
import { RequestError } from "../util/errors.ts";
import { statusError } from "./hub-errors.ts";
import { type HubResponse, type Patience, request, TransientError, withRetries } from "./hub-http.ts";
import { type RepoFile, repoFile } from "./repo-file.ts";
import { isCommit } from "./repo-id.ts";

/** Whom to ask, and how patiently. */
export interface HubAccess extends Patience {
  readonly endpoint: string;
  readonly token: string | null;
}

const MAX_BODY_BYTES = 32 << 20;
const MAX_PAGES = 100;
/** A model has dozens of files. */
const MAX_FILES = 50_000;

/** @throws RequestError when there is no such revision or it may not be read; TransientError when the hub is away. */
export async function resolveCommit(hub: HubAccess, repoId: string, revision: string): Promise<string> {
  const url = `${hub.endpoint}/api/models/${repoId}/revision/${encodeURIComponent(revision)}`;
  const { value } = await getJson(hub, url, repoId, revision);
  const sha = (value as { sha?: unknown } | null)?.sha;
  if (typeof sha !== "string" || !isCommit(sha)) {
    throw new RequestError("hub", `expected a commit as "sha" of ${repoId}@${revision}, got ${shown(sha)}`);
  }
  return sha;
}

/** All files at a commit. @throws as `resolveCommit` does. */
export async function listFiles(hub: HubAccess, repoId: string, commit: string): Promise<RepoFile[]> {
  const files: RepoFile[] = [];
  const asked = new Set<string>();
  const url = new URL(`${hub.endpoint}/api/models/${repoId}/tree/${commit}?recursive=true`);
  for (;;) {
    if (asked.has(url.search) || asked.size >= MAX_PAGES) {
      throw new RequestError("hub", `expected the listing of ${repoId} to end, got page ${asked.size + 1}`);
    }
    asked.add(url.search);
    const { value, headers } = await getJson(hub, url.href, repoId, commit);
    if (!Array.isArray(value))
      throw new RequestError("hub", `expected a list of files of ${repoId}, got ${shown(value)}`);
    for (const entry of value) {
      const file = parseEntry(entry, repoId);
      if (file !== null) files.push(file);
    }
    if (files.length > MAX_FILES) {
      throw new RequestError("hub", `expected at most ${MAX_FILES} files in ${repoId}, got ${files.length} and more`);
    }
    const next = nextSearch(headers, url);
    if (next === null) return files;
    url.search = next; // a mirror may name the hub itself in its links: only the query is taken
  }
}

/** The address of a file's content. */
export function resolveUrl(endpoint: string, repoId: string, commit: string, path: string): string {
  return `${endpoint}/${repoId}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Null for what is no file. */
function parseEntry(entry: unknown, repoId: string): RepoFile | null {
  const { type, path, size, oid, lfs, xetHash } = (entry ?? {}) as Record<string, unknown>;
  if (typeof type === "string" && type !== "file") return null;
  const large = (lfs ?? null) as { oid?: unknown; size?: unknown } | null;
  const file = repoFile(path, large?.size ?? size, oid, large === null ? null : (large.oid ?? ""), xetHash);
  if (file === null || type === undefined) {
    throw new RequestError("hub", `expected path, size and hash of each file of ${repoId}, got ${shown(entry)}`);
  }
  return file;
}

/** The query of the next page. */
function nextSearch(headers: Headers, from: URL): string | null {
  const target = /<([^<>]*)>\s*;[^,]*\brel="?next"?/i.exec(headers.get("link") ?? "")?.[1];
  if (target === undefined) return null;
  try {
    return new URL(target, from).search;
  } catch (cause) {
    throw new RequestError("hub", `expected a URL in the Link header of ${from.host}, got ${shown(target)}`, { cause });
  }
}

async function getJson(
  hub: HubAccess,
  url: string,
  repoId: string,
  revision: string,
): Promise<{ value: unknown; headers: Headers }> {
  const { endpoint, token, timing, signal } = hub;
  const ask = async (): Promise<{ value: unknown; headers: Headers }> => {
    const response = await request(url, { token, timing, signal, headers: { accept: "application/json" } });
    try {
      if (response.status !== 200) {
        throw statusError(response, { endpoint, repoId, revision, hasToken: token !== null });
      }
      return { value: parseJson(await readText(response, repoId), response, url), headers: response.headers };
    } finally {
      response.discard();
    }
  };
  return withRetries(ask, hub);
}

async function readText(response: HubResponse, repoId: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.chunks()) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new RequestError("hub", `expected at most ${MAX_BODY_BYTES} bytes as answer about ${repoId}, got more`);
    }
    parts.push(chunk);
  }
  const announced = response.headers.get("content-length");
  if (announced !== null && response.headers.get("content-encoding") === null && Number(announced) > length) {
    throw new TransientError(`the answer about ${repoId} ended after ${length} of ${announced} bytes`);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parseJson(text: string, response: HubResponse, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const kind = response.headers.get("content-type") ?? "no content type";
    throw new RequestError(
      "hub",
      `expected JSON from ${new URL(url).host}, got ${shown(kind)}. You can check whether a proxy or a login page stands in between`,
      { cause },
    );
  }
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 160) ?? "nothing";
}
