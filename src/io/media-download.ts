/**
 * Fetches media from http(s) addresses with limits on size, redirects, silence and the whole time, so that no server can
 * fill the memory or hold the caller. One try: a broken connection is an error. Knows nothing about formats; which machines may be
 * reached is the caller's policy (http-get.ts).
 */
import { open } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { messageOf, NvilaError, RequestError } from "../util/errors.ts";
import { httpGet, type NetworkPolicy } from "./http-get.ts";

/** How patient downloads are, in milliseconds. Tests make it short. */
export interface DownloadTiming {
  /** Longest wait for a response to begin. */
  readonly headersMs: number;
  /** Longest silence within a response. */
  readonly stallMs: number;
  /** Longest time for everything together. */
  readonly totalMs: number;
}

export const DEFAULT_DOWNLOAD_TIMING: DownloadTiming = { headersMs: 30_000, stallMs: 30_000, totalMs: 600_000 };

export interface DownloadOptions {
  /** Longer contents are refused: from the header where it says so, else when they get too long. */
  readonly maxBytes: number;
  readonly timing?: DownloadTiming;
  /** Which machines may be reached, at the start and by every redirect. Default: any. */
  readonly network?: NetworkPolicy | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface MediaResponse {
  /** Such as "image/png", without parameters, in small letters; "" when the server names none. */
  readonly mediaType: string;
  /** The contents. @throws RequestError on drops, silence, a wrong length or too many bytes; the signal's reason on abort. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  /** Ends the request without reading on. May be called at any time, and must be when `chunks` is not used. */
  end(): void;
}

const MAX_REDIRECTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** What messages call an address: no query and no password, which may be secret. */
export function labelOfUrl(url: URL): string {
  const text = `${url.protocol}//${url.host}${url.pathname}`;
  return text.length <= 120 ? text : `${text.slice(0, 90)}…${text.slice(-25)}`;
}

/** Whole contents in memory. @throws as `MediaResponse.chunks` and `requestMedia`. */
export async function downloadBytes(url: URL, options: DownloadOptions): Promise<Uint8Array> {
  const response = await requestMedia(url, options);
  const parts: Uint8Array[] = [];
  for await (const part of response.chunks()) parts.push(part);
  return Buffer.concat(parts);
}

/** Contents into a new file at `path`, which the caller removes. @throws as `downloadBytes`. */
export async function downloadFile(url: URL, path: string, options: DownloadOptions): Promise<void> {
  const response = await requestMedia(url, options);
  try {
    const file = await open(path, "wx", 0o600);
    try {
      for await (const part of response.chunks()) {
        for (let at = 0; at < part.length; ) at += (await file.write(part, at)).bytesWritten;
      }
    } finally {
      await file.close();
    }
  } finally {
    response.end();
  }
}

/**
 * Asks for `url`, following at most 5 redirects.
 *
 * @throws RequestError when the server cannot be reached, answers with an error, or announces too many bytes.
 */
export async function requestMedia(url: URL, options: DownloadOptions): Promise<MediaResponse> {
  const { maxBytes, timing = DEFAULT_DOWNLOAD_TIMING, network, signal } = options;
  const label = labelOfUrl(url);
  if (url.username !== "" || url.password !== "") {
    throw new RequestError("media", `expected an address without name and password, got some for ${label}`);
  }
  signal?.throwIfAborted();
  const abort = new AbortController();
  const stop = (): void => abort.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  const giveUp = (what: string, ms: number): void =>
    abort.abort(new RequestError("media", `${label}: the server ${what} for ${ms / 1000} s`));
  const total = setTimeout(giveUp, timing.totalMs, "did not finish", timing.totalMs);
  let silence: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearTimeout(total);
    clearTimeout(silence);
    signal?.removeEventListener("abort", stop);
    abort.abort();
  };
  const explain = (error: unknown): unknown => {
    if (signal?.aborted) return signal.reason;
    if (abort.signal.reason instanceof NvilaError) return abort.signal.reason; // we gave up
    if (error instanceof NvilaError) return error;
    return new RequestError("media", `${label} cannot be downloaded: ${reasonOf(error)}`, { cause: error });
  };

  let response: IncomingMessage;
  try {
    silence = setTimeout(giveUp, timing.headersMs, "did not answer", timing.headersMs);
    response = await followRedirects(url, label, network, abort.signal);
    clearTimeout(silence);
    checkStatus(response, label);
    const announced = Number(response.headers["content-length"] ?? 0);
    if (announced > maxBytes) throw tooLong(label, maxBytes, announced);
  } catch (error) {
    end();
    throw explain(error);
  }

  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    let received = 0;
    try {
      const parts: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
      for (;;) {
        silence = setTimeout(giveUp, timing.stallMs, "sent nothing", timing.stallMs);
        const { done, value } = await parts.next();
        clearTimeout(silence);
        abort.signal.throwIfAborted();
        if (done) return;
        received += value.length;
        if (received > maxBytes) throw tooLong(label, maxBytes, received);
        yield value;
      }
    } catch (error) {
      throw explain(error);
    } finally {
      end();
    }
  }
  const mediaType = (response.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  return { mediaType, chunks, end };
}

async function followRedirects(
  first: URL,
  label: string,
  network: NetworkPolicy | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    // Uncompressed, so that the length means what it says; media hardly compress.
    const headers = { "accept-encoding": "identity", "user-agent": "nvila", accept: "image/*, video/*, */*;q=0.5" };
    const response = await httpGet(url, { headers, network, signal, label: labelOfUrl(url) });
    const { location } = response.headers;
    if (!REDIRECTS.includes(response.statusCode ?? 0) || location === undefined) return response;
    response.destroy();
    url = redirectTarget(location, url, label);
  }
  throw new RequestError("media", `expected at most ${MAX_REDIRECTS} redirects from ${label}, got more`);
}

function redirectTarget(location: string, from: URL, label: string): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from) : null;
  if (next === null || !/^https?:$/.test(next.protocol)) {
    throw new RequestError(
      "media",
      `expected redirects from ${label} to http(s), got one to "${location.slice(0, 60)}"`,
    );
  }
  if (from.protocol === "https:" && next.protocol === "http:") {
    throw new RequestError("media", `refused a redirect from ${label} to ${next.host}: it would leave https`);
  }
  next.username = "";
  next.password = "";
  return next;
}

function checkStatus({ statusCode: status = 0, headers }: IncomingMessage, label: string): void {
  const encoding = headers["content-encoding"] ?? "identity";
  if (status === 200 && encoding === "identity") return;
  if (status === 200) {
    const reason = `its contents come compressed (${encoding.slice(0, 20)}), though they were asked for as they are`;
    throw new RequestError("media", `${label} cannot be downloaded: ${reason}`);
  }
  const reasons: Readonly<Record<number, string>> = {
    401: "it needs a login",
    403: "access is forbidden",
    404: "nothing is there",
    410: "it is gone",
    429: `there were too many requests${headers["retry-after"] ? `, try again in ${headers["retry-after"]}` : ""}`,
  };
  const reason = reasons[status] ?? (status >= 500 ? "the server failed" : "an unexpected answer");
  throw new RequestError("media", `${label} cannot be downloaded: HTTP status ${status}, ${reason}`);
}

function tooLong(label: string, maxBytes: number, got: number): RequestError {
  const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return new RequestError(
    "media",
    `expected at most ${mebibytes(maxBytes)} from ${label}, got ${mebibytes(got)} or more`,
  );
}

/** What happened to a connection: fetch wraps the socket's error, and several addresses give an AggregateError. */
function reasonOf(error: unknown): string {
  let code = "";
  for (let at = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const found = (at as NodeJS.ErrnoException).code;
    if (typeof found === "string") code = found;
    at = at instanceof AggregateError && at.errors.length > 0 ? at.errors[0] : at.cause;
  }
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its host is not known";
    case "ECONNREFUSED":
      return "its host refuses connections";
    case "":
      return messageOf(error);
    default:
      return /CERT|SIGNATURE|SSL|TLS|ALTNAME/.test(code)
        ? `the certificate of its host is not trusted (${code})`
        : `the connection broke off (${code})`;
  }
}
