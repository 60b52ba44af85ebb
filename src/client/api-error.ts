/** What a request can end with instead of an answer. */
import type { ErrorBody } from "./chat-types.ts";

export interface ApiErrorFacts {
  /** HTTP status; null when no response came or the connection broke in the middle of one. */
  readonly status: number | null;
  /** Machine-readable: "queue_full", "model_not_found". */
  readonly code?: string | null;
  readonly type?: string | null;
  /** The field of the request that is wrong. */
  readonly param?: string | null;
  /** When the server wants to be asked again. */
  readonly retryAfterSeconds?: number | null;
  /** Under this name the request stands in the server's log. */
  readonly requestId?: string | null;
  readonly cause?: unknown;
}

/** The server refused or failed, or the connection did. An abort by the caller's signal is no ApiError: it is the signal's reason. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number | null;
  readonly code: string | null;
  readonly type: string | null;
  readonly param: string | null;
  readonly retryAfterSeconds: number | null;
  readonly requestId: string | null;

  constructor(message: string, facts: ApiErrorFacts) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.status = facts.status;
    this.code = facts.code ?? null;
    this.type = facts.type ?? null;
    this.param = facts.param ?? null;
    this.retryAfterSeconds = facts.retryAfterSeconds ?? null;
    this.requestId = facts.requestId ?? null;
  }
}

/** The error that a response of another status than success tells. A proxy's page of HTML says no more than its status. */
export async function errorOfResponse(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  const { message, type, param, code } = errorFields(text);
  const after = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new ApiError(message ?? `the server answered with status ${response.status}`, {
    status: response.status,
    code,
    type,
    param,
    retryAfterSeconds: after >= 0 ? after : null,
    requestId: response.headers.get("x-request-id"),
  });
}

interface ErrorFields {
  readonly message: string | null;
  readonly type: string | null;
  readonly param: string | null;
  readonly code: string | null;
}

/** @param json Of an `ErrorBody`; anything else gives nulls. */
export function errorFields(json: string): ErrorFields {
  let error: Partial<ErrorBody["error"]> = {};
  try {
    error = (JSON.parse(json) as Partial<ErrorBody> | null)?.error ?? {};
  } catch {
    // No JSON, no fields.
  }
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  return { message: text(error.message), type: text(error.type), param: text(error.param), code: text(error.code) };
}
