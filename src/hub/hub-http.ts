/**
 * One HTTP request to the hub: redirects followed by hand so that the access token never reaches another host, time
 * limits for the first byte and for silence, errors sorted into those worth another try and those not.
 * Knows nothing about models and files. Node's fetch does the talking.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, NvilaError, RequestError } from "../util/errors.ts";
import type { HubTiming } from "./hub-timing.ts";

/** A failure that another try may heal: a drop, a stall, a busy server. Never leaves this room. */
export class TransientError extends Error {
  override readonly name = "TransientError";
  readonly retryAfterMs: number | null;
  /** True when no server was reached at all. */
  readonly isUnreachable: boolean;

  constructor(message: string, options: ErrorOptions & { retryAfterMs?: number | null; isUnreachable?: boolean } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.isUnreachable = options.isUnreachable ?? false;
  }
}

export interface RequestSettings {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly token: string | null;
  readonly timing: HubTiming;
  readonly signal?: AbortSignal | undefined;
}

export interface HubResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Headers of the last answer from the host that was asked first: it describes a file that another host then sends. */
  readonly hubHeaders: Headers;
  /** True when the answer came from the host that was asked first. */
  readonly isOwnOrigin: boolean;
  /** The body. @throws TransientError on drops and stalls, the signal's reason on abort. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  /** Ends the request without reading on. */
  discard(): void;
}

const MAX_REDIRECTS = 8;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const UNREACHABLE: readonly string[] = [
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
];

/** @throws TransientError when another try may help; RequestError when not. Any status but a redirect is returned. */
export async function request(url: string, settings: RequestSettings): Promise<HubResponse> {
  const first = new URL(url);
  let target = first;
  let hubHeaders = new Headers();
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const isOwnOrigin = target.origin === first.origin;
    const response = await requestOnce(target, isOwnOrigin, settings);
    if (isOwnOrigin) hubHeaders = response.headers;
    const location = response.headers.get("location");
    if (!REDIRECTS.includes(response.status) || location === null) return { ...response, hubHeaders };
    response.discard();
    target = redirectTarget(location, target);
  }
  throw new RequestError("hub", `expected at most ${MAX_REDIRECTS} redirects from ${first.origin}, got more`);
}

function redirectTarget(location: string, from: URL): URL {
  let next: URL;
  try {
    next = new URL(location, from);
  } catch (cause) {
    throw new RequestError("hub", `${from.origin} redirects to something that is no URL`, { cause });
  }
  const isDowngrade = from.protocol === "https:" && next.protocol === "http:";
  if (!/^https?:$/.test(next.protocol) || isDowngrade) {
    throw new RequestError(
      "hub",
      `refused a redirect from ${from.origin} to ${next.protocol}//${next.host}: it would leave https`,
    );
  }
  return next;
}

async function requestOnce(
  url: URL,
  isOwnOrigin: boolean,
  settings: RequestSettings,
): Promise<Omit<HubResponse, "hubHeaders">> {
  const { method = "GET", token, timing, signal } = settings;
  signal?.throwIfAborted();
  const abort = new AbortController();
  const stop = (): void => abort.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const limit = (ms: number, what: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new TransientError(`${url.host} ${what} for ${ms / 1000} s`)), ms);
  };
  const finish = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  };
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "nvila", ...settings.headers };
  if (token !== null && isOwnOrigin) headers.authorization = `Bearer ${token}`;

  let response: Response;
  try {
    limit(timing.headersMs, "did not answer");
    response = await fetch(url, { method, headers, redirect: "manual", signal: abort.signal });
    clearTimeout(timer);
  } catch (error) {
    finish();
    throw classify(error, url, signal);
  }
  const { body } = response;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    const reader = body?.getReader();
    try {
      for (;;) {
        let part: { done: boolean; value?: Uint8Array | undefined } | undefined;
        try {
          limit(timing.stallMs, "sent nothing");
          part = await reader?.read();
          clearTimeout(timer);
        } catch (error) {
          throw classify(error, url, signal);
        }
        signal?.throwIfAborted();
        if (part?.value === undefined) return;
        yield part.value;
      }
    } finally {
      finish();
      abort.abort(); // closes the connection when the reader left early; nothing otherwise
    }
  }
  const discard = (): void => {
    finish();
    body?.cancel().catch(() => {});
    abort.abort();
  };
  if (body === null) finish();
  return { status: response.status, headers: response.headers, isOwnOrigin, chunks, discard };
}

function classify(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof TransientError || error instanceof NvilaError) return error;
  const { code, message } = innermost(error);
  if (UNREACHABLE.includes(code)) {
    return new TransientError(`${url.host} cannot be reached (${code})`, { cause: error, isUnreachable: true });
  }
  if (/CERT|SIGNATURE|SSL|TLS|ALTNAME|EPROTO/.test(code)) {
    return new RequestError(
      "hub",
      `no trusted connection to ${url.host} (${code}). You can name your network's own certificate with NODE_EXTRA_CA_CERTS`,
      { cause: error },
    );
  }
  if (message === "bad port") {
    return new RequestError("hub", `expected a port that fetch allows in ${url.origin}, got ${url.port}`, {
      cause: error,
    });
  }
  return new TransientError(`the connection to ${url.host} broke off (${code || message})`, { cause: error });
}

/** Code and message of the innermost cause: fetch wraps the socket's error, several addresses give an AggregateError. */
function innermost(error: unknown): { code: string; message: string } {
  let code = "";
  let message = messageOf(error);
  for (let at = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const found = (at as NodeJS.ErrnoException).code;
    if (typeof found === "string") code = found;
    if (at.message !== "") message = at.message;
    at = at instanceof AggregateError && at.errors.length > 0 ? at.errors[0] : at.cause;
  }
  return { code, message };
}

/**
 * Milliseconds that a busy server asks to wait: a Retry-After header (seconds or a date), else the `t` of an exhausted
 * RateLimit header (`"api";r=0;t=55`, draft-ietf-httpapi-ratelimit-headers-09). Null when there is neither.
 */
export function retryAfterMs(headers: Headers, nowMs: number = Date.now()): number | null {
  const text = headers.get("retry-after")?.trim();
  if (!text) {
    const seconds = /;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
    return seconds === undefined ? null : Number(seconds) * 1000;
  }
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** The pause before try `failures + 1`: doubling, at most `maxDelayMs`, give or take a quarter; never before Retry-After. */
export function backoffMs(failures: number, error: TransientError, timing: HubTiming): number {
  const plain = Math.min(timing.maxDelayMs, timing.baseDelayMs * 2 ** (failures - 1));
  const varied = plain * (0.75 + Math.random() / 2);
  return Math.max(varied, Math.min(error.retryAfterMs ?? 0, timing.maxRetryAfterMs));
}

/** Waits. @throws the signal's reason when it is aborted meanwhile. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** How patient to be, and whom to tell. */
export interface Patience {
  readonly timing: HubTiming;
  readonly signal?: AbortSignal | undefined;
  /** Told before a pause that somebody at the screen would notice. */
  readonly onPause?: ((message: string) => void) | undefined;
}

const NOTICED_MS = 5000;

/** Waits before try `failures + 1`. @throws the signal's reason when it is aborted meanwhile. */
export async function pauseAfter(failures: number, error: TransientError, patience: Patience): Promise<void> {
  const ms = backoffMs(failures, error, patience.timing);
  if (ms >= NOTICED_MS) patience.onPause?.(`${error.message}; trying again in ${Math.ceil(ms / 1000)} s`);
  await pause(ms, patience.signal);
}

/** More tries do not help where there is no network. */
const UNREACHABLE_ATTEMPTS = 3;

/** Runs `work` until it succeeds, fails for good, or failed `attempts` times for a passing reason. */
export async function withRetries<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const { attempts } = patience.timing;
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (failures >= (error.isUnreachable ? Math.min(attempts, UNREACHABLE_ATTEMPTS) : attempts)) throw error;
      await pauseAfter(failures, error, patience);
    }
  }
}
