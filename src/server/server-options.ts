/** Options of the server with their defaults, and their check. Everything is closed until it is opened. */
import { fileURLToPath } from "node:url";
import { RequestError } from "../util/errors.ts";

/** Patience, in milliseconds. */
export interface ServerTiming {
  /** Until the headers of a request are complete. Default 10 000. */
  readonly headersMs: number;
  /** Until a whole request has come. Default 120 000. */
  readonly bodyMs: number;
  /** Longest silence within a request's body. Default 15 000. */
  readonly bodyIdleMs: number;
  /** How long a connection without a request is kept. Default 10 000. */
  readonly keepAliveMs: number;
  /** How long a stream waits for a client that does not read. Default 30 000. */
  readonly stalledReaderMs: number;
  /** A stream whose answer has not begun by then says 200 and sends comments. Default 5 000. */
  readonly firstByteMs: number;
  /** How often a silent stream sends a comment, for proxies. Default 10 000. */
  readonly heartbeatMs: number;
  /** How long running answers may go on after a request to stop. Default 30 000. */
  readonly graceMs: number;
}

export interface ServerLimits {
  /** Largest body of one request. Default 64 MiB. */
  readonly bodyBytes: number;
  /** All bodies that are being read or answered. Default 512 MiB. */
  readonly openBodyBytes: number;
  /** Longest text of one request, in characters. Default 1 million. */
  readonly textChars: number;
  /** Pictures and videos of one request. Default 64. */
  readonly mediaParts: number;
  /** Frames of one video. Default 512. */
  readonly frames: number;
  /** Largest `n`. Default 8. */
  readonly choices: number;
  /** Answers are cut after this many tokens, whatever the request says. Default 4096. */
  readonly answerTokens: number;
  /** Bytes that wait for a client that reads slowly, per stream. Default 256 KiB. */
  readonly streamBufferBytes: number;
  /** Requests per client address and minute; 0 is no limit. Default 600 where others can reach the server, else 0. */
  readonly requestsPerMinute: number;
  /** Open connections. Default 1024. */
  readonly connections: number;
}

/** What the server does about pictures and videos, which come from strangers. */
export interface ServerMediaOptions {
  /** Fetch http(s) addresses that questions name. Default true: from the public internet. */
  readonly remote: boolean;
  /** Fetch also from this machine, its neighbours and the cloud around it. Default false. */
  readonly allowPrivate: boolean;
  /** Largest picture and video file. Default 32 MiB and 256 MiB. */
  readonly imageBytes: number;
  readonly videoBytes: number;
  /** Largest picture or frame. Default 64 million. */
  readonly pixels: number;
  /** How long an address may take to begin to answer, and to answer. Default 10 000 and 60 000. */
  readonly headersMs: number;
  readonly totalMs: number;
  /** Media that are fetched at once, for all questions. Default 8. */
  readonly fetches: number;
  /** All addresses of a host name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export interface ServerOptions {
  /** Default "127.0.0.1": this machine only. */
  readonly host?: string;
  /** Default 8000; 0 takes any free port. */
  readonly port?: number;
  /** Every route but health and the page wants it as `Authorization: Bearer …`. Default null: no key. */
  readonly apiKey?: string | null;
  /** Serve a host that others can reach without a key. Default false. */
  readonly allowOpenHost?: boolean;
  /** Origins of web pages that may ask, such as "https://example.org". Default none but the server's own page. */
  readonly allowedOrigins?: readonly string[];
  /** Names under which the server is asked, beside its address and localhost; "*" is any. Without a key only. Default none. */
  readonly allowedHosts?: readonly string[];
  /** Folder of the built page; null serves none. Default: the page of this package. */
  readonly pageFolder?: string | null;
  readonly limits?: Partial<ServerLimits>;
  readonly timing?: Partial<ServerTiming>;
  readonly media?: Partial<ServerMediaOptions>;
  /** Default "info". */
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
  /** Gets the log, one line of JSON at a time. Default: standard error. */
  readonly onLogLine?: (line: string) => void;
}

export interface CheckedServerOptions {
  readonly host: string;
  readonly port: number;
  readonly apiKey: string | null;
  readonly allowedOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly pageFolder: string | null;
  readonly limits: ServerLimits;
  readonly timing: ServerTiming;
  readonly media: ServerMediaOptions;
  readonly logLevel: NonNullable<ServerOptions["logLevel"]>;
  readonly onLogLine: ((line: string) => void) | null;
}

const MIB = 1024 ** 2;
const PAGE_FOLDER = fileURLToPath(new URL("../../dist/web", import.meta.url));

/** @throws RequestError when a value is out of its range, or a host that others can reach has no key. */
export function checkServerOptions(options: ServerOptions): CheckedServerOptions {
  const { host = "127.0.0.1", port = 8000, apiKey = null, pageFolder = PAGE_FOLDER } = options;
  const isLocal = isLoopbackHost(host);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RequestError("server", `expected a port in 0..65535, got ${String(port)}`);
  }
  if (apiKey !== null && !/^[\x21-\x7e]{8,}$/.test(apiKey)) {
    throw new RequestError(
      "server",
      `expected a key of at least 8 visible ASCII characters, got ${apiKey.length} characters`,
    );
  }
  if (!isLocal && apiKey === null && options.allowOpenHost !== true) {
    throw new RequestError(
      "server",
      `expected a key, because others can reach ${host}. You can set one (--api-key, NVILA_API_KEY), serve 127.0.0.1 ` +
        "only, or say that the server is open to everybody (--allow-open-host)",
    );
  }
  const limits: ServerLimits = {
    bodyBytes: 64 * MIB,
    openBodyBytes: 512 * MIB,
    textChars: 1_000_000,
    mediaParts: 64,
    frames: 512,
    choices: 8,
    answerTokens: 4096,
    streamBufferBytes: 256 * 1024,
    requestsPerMinute: isLocal ? 0 : 600,
    connections: 1024,
    ...options.limits,
  };
  const timing: ServerTiming = {
    headersMs: 10_000,
    bodyMs: 120_000,
    bodyIdleMs: 15_000,
    keepAliveMs: 10_000,
    stalledReaderMs: 30_000,
    firstByteMs: 5_000,
    heartbeatMs: 10_000,
    graceMs: 30_000,
    ...options.timing,
  };
  const media: ServerMediaOptions = {
    remote: true,
    allowPrivate: false,
    imageBytes: 32 * MIB,
    videoBytes: 256 * MIB,
    pixels: 64e6,
    headersMs: 10_000,
    totalMs: 60_000,
    fetches: 8,
    ...options.media,
  };
  for (const [name, value] of Object.entries({ ...limits, ...timing, ...media })) {
    if (typeof value !== "number") continue;
    const least = name === "requestsPerMinute" || name === "graceMs" ? 0 : 1;
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new RequestError(
      "server",
      `expected ${name} to be a whole number of at least ${least}, got ${String(value)}`,
    );
  }
  return {
    host,
    port,
    apiKey,
    allowedOrigins: options.allowedOrigins ?? [],
    allowedHosts: options.allowedHosts ?? [],
    pageFolder,
    limits,
    timing,
    media,
    logLevel: options.logLevel ?? "info",
    onLogLine: options.onLogLine ?? null,
  };
}

/** True for addresses and names that only this machine can reach. */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|([^.]+\.)*localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}
