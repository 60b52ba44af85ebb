/** A question answered as a stream of chunks. Errors before the first byte get a status of their own, later ones are an event. */
import type { GenerationResult, TokenLogprob } from "../api/generation.ts";
import type { ChatChunk, ChatDelta, ChatFinishReason } from "../client/chat-types.ts";
import { answerHead, finishReasonOf, logprobOf, reportOf, toolCallOf, usageOf } from "./chat-answer.ts";
import type { ChatCall } from "./chat-call.ts";
import { EventStream } from "./event-stream.ts";
import type { ServerMetrics } from "./metrics.ts";
import { runChoices } from "./run-choices.ts";
import type { ServedModel } from "./served-model.ts";
import { answerError, RefusedError } from "./server-error.ts";
import type { CheckedServerOptions } from "./server-options.ts";

export interface StreamContext {
  readonly model: ServedModel;
  readonly metrics: ServerMetrics;
  readonly options: CheckedServerOptions;
  /** The client has gone, or the server stops. */
  readonly signal: AbortSignal;
  readonly onFirst: () => void;
  readonly askedMs: number;
  /** Breaks the connection to a client that does not read. */
  readonly disconnect: () => void;
  /** Gets the response as soon as it is known that there is one; the stream goes on after that. */
  readonly onResponse: (response: Response) => void;
}

/** What a chunk may carry beside its delta. */
interface DeltaExtras extends Partial<Pick<ChatChunk, "nvila" | "usage">> {
  readonly finish?: ChatFinishReason;
  readonly logprobs?: readonly TokenLogprob[];
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** Resolves when the answer is complete. @throws what went wrong, when `onResponse` was not called or the stream ended with that error. */
export async function streamAnswer(call: ChatCall, context: StreamContext): Promise<readonly GenerationResult[]> {
  const { model, metrics, signal, onFirst, askedMs } = context;
  const { limits, timing } = context.options;
  const gone = new AbortController();
  const stream = new EventStream({
    signal,
    bufferBytes: limits.streamBufferBytes,
    stalledReaderMs: timing.stalledReaderMs,
    heartbeatMs: timing.heartbeatMs,
    disconnect: context.disconnect,
    onGone: () => gone.abort(new DOMException("the client has gone", "AbortError")),
  });
  let isBegun = false;
  const begin = (): void => {
    if (isBegun) return;
    isBegun = true;
    context.onResponse(new Response(stream.body, { headers: HEADERS }));
  };
  const patience = setTimeout(begin, timing.firstByteMs);

  const { id, created, model: name } = answerHead(model.name);
  const chunk = (choices: ChatChunk["choices"], extra: Partial<ChatChunk> = {}): void => {
    begin();
    const usage = call.includeUsage ? { usage: null } : {};
    const data: ChatChunk = { id, object: "chat.completion.chunk", created, model: name, choices, ...usage, ...extra };
    stream.send(data);
  };
  const delta = (index: number, delta: ChatDelta, more: DeltaExtras = {}): void => {
    const { finish = null, logprobs, ...extra } = more;
    const content = logprobs === undefined ? null : { content: logprobs.map(logprobOf) };
    chunk([{ index, delta, logprobs: content, finish_reason: finish }], extra);
  };

  const hasRole = new Array<boolean>(call.n).fill(false);
  let unfinished = call.n;
  try {
    const results = await runChoices(model, call, metrics, {
      signal: AbortSignal.any([signal, gone.signal]),
      onFirst,
      askedMs,
      ...(call.wantsProgress
        ? { onProgress: ({ stage, done, total }) => chunk([], { nvila: { progress: { stage, done, total } } }) }
        : {}),
      onChunk: async (index, { text, logprobs }) => {
        if (!hasRole[index]) delta(index, { role: "assistant", content: "" });
        hasRole[index] = true;
        if (text !== "" || logprobs) delta(index, { content: text }, logprobs ? { logprobs } : {});
        await stream.room();
      },
      onResult: (index, result) => {
        if (result.toolCalls.length > 0) {
          delta(index, { tool_calls: result.toolCalls.map((call, i) => ({ index: i, ...toolCallOf(call) })) });
        }
        const isLast = --unfinished === 0 && !call.includeUsage;
        delta(index, {}, { finish: finishReasonOf(result), ...(isLast ? { nvila: reportOf(result) } : {}) });
      },
    });
    if (call.includeUsage) chunk([], { usage: usageOf(results), nvila: reportOf(results[0]) });
    stream.send("[DONE]");
    stream.end();
    return results;
  } catch (error) {
    if (isBegun && error instanceof RefusedError && error.status === 408) stream.break();
    else if (isBegun) {
      const { status, body } = answerError(error);
      stream.send({ error: { ...body.error, status } }); // the response's own status is taken
      stream.end();
    }
    throw error;
  } finally {
    clearTimeout(patience);
    stream.end();
  }
}
