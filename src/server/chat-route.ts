/** `POST /v1/chat/completions`: from the bytes of a question to the bytes of its answer. */
import type { IncomingMessage } from "node:http";
import type { GenerationResult } from "../api/generation.ts";
import { answerHead, completionOf } from "./chat-answer.ts";
import { type ChatCall, chatCall } from "./chat-call.ts";
import { checkChatBody } from "./chat-schema.ts";
import type { MediaFetcher } from "./fetch-media.ts";
import type { ServerMetrics } from "./metrics.ts";
import type { BodyBudget } from "./request-body.ts";
import { runChoices } from "./run-choices.ts";
import type { RunningAnswers } from "./running-answers.ts";
import type { ServedModel } from "./served-model.ts";
import type { CheckedServerOptions } from "./server-options.ts";
import { streamAnswer } from "./stream-answer.ts";

export interface ChatContext {
  readonly model: ServedModel;
  readonly options: CheckedServerOptions;
  readonly metrics: ServerMetrics;
  readonly bodies: BodyBudget;
  readonly answers: RunningAnswers;
  readonly media: MediaFetcher;
}

export interface ChatRequestEvents {
  /** The client has gone. */
  readonly signal: AbortSignal;
  /** For the log. A stream that has begun ends with `onFault`, since its response says 200. */
  readonly onAnswered: (results: readonly GenerationResult[]) => void;
  readonly onFault: (error: unknown) => void;
}

/** @throws RefusedError and what `model.generate` throws, before the response has begun. */
export async function answerChat(
  context: ChatContext,
  request: IncomingMessage,
  events: ChatRequestEvents,
): Promise<Response> {
  const { model, options, bodies, answers, metrics, media } = context;
  const askedMs = performance.now();
  // The body's bytes count until the answer is complete, which is after a stream has begun.
  return new Promise<Response>((resolve, reject) => {
    const work = bodies.with(request, async (body, hold) => {
      const asked: ChatCall = chatCall(checkChatBody(body, options.limits), model.name, options.limits);
      await answers.run(events.signal, (signal, onFirst) =>
        media.with(asked.messages, { signal, hold }, async (messages) => {
          const call = { ...asked, messages };
          const run = { signal, onFirst, askedMs };
          if (call.isStream) {
            const disconnect = (): void => void request.socket.destroy();
            const rest = { model, metrics, options, disconnect, onResponse: resolve };
            const results = await streamAnswer(call, { ...run, ...rest });
            finish(results);
          } else {
            const results = await runChoices(model, call, metrics, run);
            finish(results);
            resolve(Response.json(completionOf(answerHead(model.name), results)));
          }
        }),
      );
    });
    const finish = (results: readonly GenerationResult[]): void => {
      metrics.answered(results);
      events.onAnswered(results);
    };
    work.catch((error: unknown) => {
      events.onFault(error);
      reject(error); // of no effect when a stream has begun
    });
  });
}
