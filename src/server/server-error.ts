/** What clients are told when something goes wrong: a status and OpenAI's error shape. Causes stay in the log. */
import type { ErrorBody } from "../client/chat-types.ts";
import { BusyError, DeviceError, EngineError, NvilaError, RequestError, UnsupportedError } from "../util/errors.ts";

export interface RefusalOptions extends ErrorOptions {
  /** Machine-readable: "invalid_api_key". Default null. */
  readonly apiCode?: string;
  /** The field of the request that is wrong. */
  readonly param?: string | null;
  readonly retryAfterSeconds?: number;
}

/** A request that the server refuses with a status of its own. */
export class RefusedError extends RequestError {
  readonly status: number;
  readonly apiCode: string | null;
  readonly param: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(status: number, message: string, options: RefusalOptions = {}) {
    super("server", message, options);
    this.status = status;
    this.apiCode = options.apiCode ?? null;
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }
}

export interface ErrorAnswer {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;
}

/** The system's ways of saying that a disk or a table is full: a state of this machine that passes. */
const EXHAUSTED: readonly string[] = ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EROFS"];

/** @param busySeconds When it is worth asking again. */
export function answerError(error: unknown, busySeconds = 1): ErrorAnswer {
  if (error instanceof RefusedError) {
    const { status, message, param, apiCode, retryAfterSeconds } = error;
    return errorAnswer(status, message, { param, code: apiCode, retryAfterSeconds });
  }
  if (error instanceof BusyError) {
    return errorAnswer(429, error.message, { code: "queue_full", retryAfterSeconds: busySeconds });
  }
  if (error instanceof RequestError || error instanceof UnsupportedError) return errorAnswer(400, error.message, {});
  if (systemCodes(error).some((code) => EXHAUSTED.includes(code))) {
    const message = "[server] there is no room for temporary files on the server. You can try again later";
    return errorAnswer(503, message, { code: "no_space", retryAfterSeconds: 30 });
  }
  if (error instanceof EngineError || error instanceof DeviceError) {
    const message = "[server] the engine has failed and the answer is lost. You can ask again";
    return errorAnswer(503, message, { code: "engine_failed", retryAfterSeconds: 1 });
  }
  return errorAnswer(500, "[server] unexpected fault; the server's log says more", { code: "internal" });
}

/** Faults are worth a stack in the log; refusals are not. */
export function isFault(error: unknown): boolean {
  return !(error instanceof NvilaError) || answerError(error).status >= 500;
}

function systemCodes(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === "string") codes.push(code);
  }
  return codes;
}

function errorAnswer(
  status: number,
  message: string,
  extra: { param?: string | null; code?: string | null; retryAfterSeconds?: number | null },
): ErrorAnswer {
  const { param = null, code = null, retryAfterSeconds = null } = extra;
  return {
    status,
    body: { error: { message, type: typeOf(status), param, code } },
    headers: retryAfterSeconds === null ? {} : { "retry-after": String(retryAfterSeconds) },
  };
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
