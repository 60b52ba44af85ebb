/** The page's line to the server: one streamed answer, the model's name, and faults as `RequestFailed`. */
import type { ChatBody } from "./build-request.ts";
import type { RequestFailure } from "./explain-error.ts";
import type { AnswerChunk } from "./types.ts";

/** A request that brought no whole answer. */
export class RequestFailed extends Error {
  readonly failure: RequestFailure;

  constructor(failure: RequestFailure) {
    super(failure.message);
    this.name = "RequestFailed";
    this.failure = failure;
  }
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly apiKey: string | null;
}

/** What the store needs of a server; tests give their own. */
export interface Server {
  ask(body: ChatBody, options: AskOptions): AsyncIterable<AnswerChunk>;
  /** The id of the served model. */
  modelId(options: AskOptions): Promise<string>;
}

/** The server that the page came from, or any other at `baseUrl`. */
export function connectServer(baseUrl: URL): Server {
  const call = async (path: string, { signal, apiKey }: AskOptions, body?: unknown): Promise<Response> => {
    const response = await fetch(new URL(path, baseUrl), {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    }).catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new RequestFailed({ status: null, message: String(error), retryAfterSeconds: null });
    });
    if (!response.ok) throw new RequestFailed(await failureOf(response));
    return response;
  };
  return {
    async *ask(body, options) {
      const response = await call("v1/chat/completions", options, body);
      yield* readEvents(response, options.signal);
    },
    async modelId(options) {
      const list = (await (await call("v1/models", options)).json()) as { data?: { id?: string }[] };
      return list.data?.[0]?.id ?? "";
    },
  };
}

async function failureOf(response: Response): Promise<RequestFailure> {
  const text = await response.text().catch(() => "");
  let message = "";
  try {
    message = (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? "";
  } catch {
    // A proxy's HTML page says nothing that the status does not say.
  }
  const after = Number(response.headers.get("retry-after"));
  return { status: response.status, message, retryAfterSeconds: after > 0 ? after : null };
}

async function* readEvents(response: Response, signal: AbortSignal): AsyncGenerator<AnswerChunk> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const part = await reader?.read().catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new RequestFailed({ status: null, message: String(error), retryAfterSeconds: null });
    });
    if (!part || part.done) throw new RequestFailed({ status: null, message: "cut off", retryAfterSeconds: null });
    const events = (rest + part.value).split(/\r?\n\r?\n/);
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.replace(/^data: ?/gm, "");
      if (event.startsWith(":") || data === "") continue;
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as AnswerChunk & { error?: { message?: string; status?: number } };
      if (chunk.error) {
        const { message = "", status = 500 } = chunk.error;
        throw new RequestFailed({ status, message, retryAfterSeconds: null });
      }
      yield chunk;
    }
  }
}
