/**
 * Brings one file from the hub to `blobs/<tag>`: asks for the rest of what is there already, goes on after drops and
 * stalls, starts again when the server cannot go on, and checks the hash before the file counts. `resolve/{commit}/{path}`
 * answers with the file or redirects to the storage that has it; on the hub's own answer X-Repo-Commit, X-Linked-Etag and
 * X-Linked-Size describe it (huggingface_hub 2.0, `get_hf_file_metadata`, asks for them with HEAD first; here they are
 * read off the GET, and the listing has told the same). Ranges: RFC 9110, chapter 14.
 */
import { RequestError } from "../util/errors.ts";
import { statusError } from "./hub-errors.ts";
import { type HubResponse, pause, pauseAfter, request, TransientError } from "./hub-http.ts";
import { type HubAccess, resolveUrl } from "./hub-listing.ts";
import { BadContentError, PartialFile } from "./partial-file.ts";
import type { FileMeter } from "./pull-progress.ts";
import { contentTag, type RepoFile } from "./repo-file.ts";
import { checkEtag } from "./repo-id.ts";

export interface Download {
  readonly repoId: string;
  readonly commit: string;
  readonly file: RepoFile;
  readonly partialPath: string;
  readonly blobPath: string;
  readonly meter: FileMeter;
}

/** Wrong content is asked for again twice. */
const MAX_BAD_CONTENTS = 3;

/** What was learnt from one response for the next request. */
interface Memory {
  /** Strong content tag of the server that sent the bytes. */
  validator: string | null;
  /** False once If-Range made a server start again: behind its name may stand several with different tags. */
  usesIfRange: boolean;
}

/**
 * @throws RequestError when it cannot be had; TransientError when another program took the unfinished file away. What was
 * downloaded is kept, unless its content was wrong.
 */
export async function downloadFile(download: Download, hub: HubAccess): Promise<void> {
  const { repoId, file, partialPath, blobPath, meter } = download;
  const { timing, signal } = hub;
  const memory: Memory = { validator: null, usesIfRange: true };
  const part = await PartialFile.open(partialPath, file, signal);
  try {
    meter.reused(part.length);
    let best = part.length; // the furthest ever: starting again is no progress
    for (let failures = 0, badContents = 0; ; ) {
      try {
        if (part.length < file.sizeBytes) await receive(part, download, hub, memory);
        part.checkContent();
        break;
      } catch (error) {
        if (error instanceof BadContentError) {
          if (!part.hasEarlierBytes) badContents++;
          await part.restart();
          meter.restarted();
          if (badContents >= MAX_BAD_CONTENTS) throw badContentError(download, error);
          if (badContents > 0) await pause(timing.baseDelayMs, signal);
        } else if (error instanceof TransientError) {
          await part.flush();
          if (part.length - best >= timing.progressBytes) {
            best = part.length;
            failures = 0;
          }
          failures++;
          if (failures >= timing.attempts) {
            throw new RequestError(
              "hub",
              `${file.path} of ${repoId} did not come: ${error.message}; gave up after ${failures} tries without progress. What was downloaded is kept. You can run it again to go on`,
              { cause: error },
            );
          }
          await pauseAfter(failures, error, hub);
        } else {
          throw error;
        }
      }
    }
    await part.moveTo(blobPath);
  } finally {
    await part.close();
  }
}

/** One request: asks for the rest and appends it. Returns when the file has its full size. */
async function receive(part: PartialFile, download: Download, hub: HubAccess, memory: Memory): Promise<void> {
  const { repoId, commit, file, meter } = download;
  const headers: Record<string, string> = {};
  if (part.length > 0) {
    headers.range = `bytes=${part.length}-`;
    if (memory.usesIfRange && memory.validator !== null) headers["if-range"] = memory.validator;
  }
  const { token, timing, signal, endpoint } = hub;
  const response = await request(resolveUrl(endpoint, repoId, commit, file.path), { headers, token, timing, signal });
  try {
    if (response.status === 416 && part.length > 0) {
      await part.restart();
      meter.restarted();
      throw new TransientError(`${new URL(endpoint).host} cannot go on within ${file.path} (416)`);
    }
    if (response.status !== 200 && response.status !== 206) {
      throw statusError(response, { endpoint, repoId, revision: commit, path: file.path, hasToken: token !== null });
    }
    checkDescription(response.hubHeaders, download);
    await checkPlace(response, part, meter, memory, "if-range" in headers);
    for await (const chunk of response.chunks()) {
      await part.append(chunk);
      meter.received(chunk.length);
    }
  } finally {
    response.discard();
  }
  if (part.length < file.sizeBytes) {
    throw new TransientError(`the answer ended after ${part.length} of ${file.sizeBytes} bytes`);
  }
}

/** The hub's own headers must speak of the file that was listed. Mirrors may send none. */
function checkDescription(headers: Headers, { repoId, commit, file }: Download): void {
  const pairs: [string, string | null, string][] = [
    ["commit", headers.get("x-repo-commit"), commit],
    ["content tag", tagOf(headers), contentTag(file)],
    ["size", headers.get("x-linked-size"), String(file.sizeBytes)],
  ];
  for (const [what, got, expected] of pairs) {
    if (got !== null && got !== expected) {
      throw new RequestError(
        "hub",
        `expected ${what} ${expected} for ${file.path} of ${repoId}, got ${got.slice(0, 80)}`,
      );
    }
  }
}

function tagOf(headers: Headers): string | null {
  const raw = headers.get("x-linked-etag");
  return raw === null ? null : checkEtag(raw);
}

/** Makes sure that the body goes on exactly where `part` ends, and starts again where a server sends everything. */
async function checkPlace(
  response: HubResponse,
  part: PartialFile,
  meter: FileMeter,
  memory: Memory,
  hadIfRange: boolean,
): Promise<void> {
  const { status, headers } = response;
  const { sizeBytes, path } = part.file;
  const isEncoded = (headers.get("content-encoding") ?? "identity") !== "identity"; // then lengths are others
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range")?.trim() ?? "");
    if (range !== null && range[3] !== "*" && Number(range[3]) !== sizeBytes)
      throw new BadContentError(`${range[3]} bytes`);
    if (range === null || Number(range[1]) !== part.length || isEncoded) {
      await part.restart();
      meter.restarted();
      throw new TransientError(`the server sent another part of ${path} than was asked for`);
    }
  } else {
    if (part.length > 0) {
      await part.restart();
      meter.restarted();
      if (hadIfRange) memory.usesIfRange = false;
    }
    const announced = headers.get("content-length");
    if (announced !== null && !isEncoded && Number(announced) !== sizeBytes)
      throw new BadContentError(`${announced} bytes`);
  }
  const etag = headers.get("etag");
  memory.validator = etag !== null && /^"[\x21\x23-\x7e]*"$/.test(etag) ? etag : null;
}

function badContentError({ repoId, file }: Download, error: BadContentError): RequestError {
  const expected = `${file.sizeBytes} bytes with the ${file.sha256 === null ? "git hash" : "sha256"} ${contentTag(file)}`;
  return new RequestError(
    "hub",
    `expected ${expected} as ${file.path} of ${repoId}, got ${error.message}, ${MAX_BAD_CONTENTS} times. You can try another network or mirror (HF_ENDPOINT); nothing of it was kept`,
  );
}
