/** A client for `nvila serve`, and for other servers of OpenAI's chat API: typed, streaming, for browsers and Node. No dependencies. */
import { ApiError, errorFields, errorOfResponse } from "./api-error.ts";
import type { ChatChunk, ChatCompletion, ChatRequest, ModelCard } from "./chat-types.ts";
import { bodyText, eventData } from "./event-data.ts";

export interface ClientOptions {
  /** Where the server is: "http://127.0.0.1:8000"; a path and a trailing /v1 are welcome. */
  readonly baseUrl: string | URL;
  /** Default null: no key. */
  readonly apiKey?: string | null;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface CallOptions {
  /** Ends the request: promise and iteration end with the signal's reason, and the server stops its answer. */
  readonly signal?: AbortSignal;
}

export interface Client {
  readonly chat: { readonly completions: { readonly create: CreateCompletion } };
  readonly models: {
    /** The models that the server serves. */
    list(options?: CallOptions): Promise<readonly ModelCard[]>;
  };
  /** True when the server lives. @throws ApiError when it cannot be reached. */
  health(options?: CallOptions): Promise<boolean>;
  /** True when it takes questions. @throws ApiError when it cannot be reached. */
  ready(options?: CallOptions): Promise<boolean>;
}

/** Leaving the iteration early ends the request. @throws ApiError, also in the middle; the signal's reason on abort. */
export interface CreateCompletion {
  (body: ChatRequest & { readonly stream: true }, options?: CallOptions): Promise<AsyncIterable<ChatChunk>>;
  (body: ChatRequest & { readonly stream?: false }, options?: CallOptions): Promise<ChatCompletion>;
}

/**
 * @example
 * const client = createClient({ baseUrl: "http://127.0.0.1:8000" });
 * const messages = [{ role: "user" as const, content: "What is a vision tower?" }];
 * for await (const { choices } of await client.chat.completions.create({ messages, stream: true })) {
 *   process.stdout.write(choices[0]?.delta.content ?? "");
 * }
 */
export function createClient(options: ClientOptions): Client {
  const base = baseOf(options.baseUrl);
  const send = options.fetch ?? ((...args: Parameters<typeof fetch>) => globalThis.fetch(...args));

  const request = async (path: string, { signal }: CallOptions, body?: object): Promise<Response> => {
    try {
      return await send(new URL(path, base), {
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...options.headers,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {}),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (cause) {
      throw broken(signal, "the server cannot be reached", cause);
    }
  };
  const call = async (path: string, options: CallOptions, body?: object): Promise<Response> => {
    const response = await request(path, options, body);
    if (!response.ok) throw await errorOfResponse(response);
    return response;
  };
  const create = async (body: ChatRequest, options: CallOptions = {}): Promise<unknown> => {
    const response = await call("v1/chat/completions", options, body);
    return body.stream ? chunksOf(response, options.signal) : jsonOf(response, options.signal);
  };
  const isUp = async (path: string, options: CallOptions): Promise<boolean> => {
    const response = await request(path, options);
    await response.body?.cancel();
    return response.ok;
  };
  return {
    chat: { completions: { create: create as CreateCompletion } },
    models: {
      async list(options = {}) {
        const response = await call("v1/models", options);
        return ((await jsonOf(response, options.signal)) as { data: readonly ModelCard[] }).data;
      },
    },
    health: (options = {}) => isUp("health", options),
    ready: (options = {}) => isUp("ready", options),
  };
}

/** With a slash at its end, so that paths are added to it, and without /v1, which is ours to add. */
function baseOf(baseUrl: string | URL): URL {
  const url = new URL(baseUrl);
  url.search = "";
  url.hash = "";
  url.pathname = `${url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "")}/`;
  return url;
}

async function jsonOf(response: Response, signal: AbortSignal | undefined): Promise<unknown> {
  try {
    return await response.json();
  } catch (cause) {
    throw broken(signal, "the answer was cut off or is no JSON", cause);
  }
}

async function* chunksOf(response: Response, signal: AbortSignal | undefined): AsyncGenerator<ChatChunk, void, void> {
  const requestId = response.headers.get("x-request-id");
  if (response.body === null) throw new ApiError("expected a stream, got nothing", { status: null, requestId });
  try {
    for await (const data of eventData(bodyText(response.body))) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as ChatChunk & { error?: { status?: number } };
      if (chunk.error !== undefined) {
        const { message, ...fields } = errorFields(data);
        const status = chunk.error.status ?? null;
        throw new ApiError(message ?? "the server failed", { status, requestId, ...fields });
      }
      yield chunk;
    }
  } catch (cause) {
    throw cause instanceof ApiError ? cause : broken(signal, "the connection broke off", cause, requestId);
  }
  throw broken(signal, "the answer was cut off", undefined, requestId);
}

/** The caller's own abort, or what happened to the connection. */
function broken(
  signal: AbortSignal | undefined,
  problem: string,
  cause: unknown,
  requestId: string | null = null,
): unknown {
  if (signal?.aborted) return signal.reason;
  return new ApiError(problem, { status: null, requestId, cause });
}
