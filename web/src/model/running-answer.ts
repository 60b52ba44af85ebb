/** One answer while it runs: reads the stream, hands on whole states at most once per frame, ends as done, stopped or failed. */
import { ApiError, type ChatChunk, type ChatProgress, type ChatReport } from "nvila/client";
import { explainFailure } from "./explain-error.ts";
import type { Answer, ShownError, StreamProgress } from "./types.ts";

export interface RunEvents {
  /** Called with each new state of the answer. */
  onAnswer(answer: Answer): void;
  onProgress(progress: StreamProgress): void;
  /** Calls `paint` soon, at the next frame: tokens that come faster are shown together. */
  schedule(paint: () => void): void;
}

/** Runs `chunks` to the end and returns the finished answer; never throws. */
export async function runAnswer(
  start: Answer,
  chunks: AsyncIterable<ChatChunk>,
  signal: AbortSignal,
  events: RunEvents,
): Promise<Answer> {
  let answer = start;
  let isPainted = true;
  const change = (fields: Partial<Answer>): void => {
    answer = { ...answer, ...fields };
    if (!isPainted) return;
    isPainted = false;
    events.schedule(() => {
      isPainted = true;
      events.onAnswer(answer);
    });
  };
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) break;
      const news = chunk.nvila;
      if (news && isProgress(news)) events.onProgress(news.progress);
      else if (news) change({ report: news });
      const choice = chunk.choices[0];
      const text = choice?.delta.content ?? "";
      if (text) change({ text: answer.text + text, state: "streaming" });
      if (choice?.finish_reason) change({ finishReason: choice.finish_reason });
      if (chunk.usage) change({ usage: chunk.usage });
    }
    answer = { ...answer, state: signal.aborted ? "stopped" : "done" };
  } catch (error) {
    answer = signal.aborted
      ? { ...answer, state: "stopped" }
      : { ...answer, state: "failed", error: shownError(error) };
  }
  return answer;
}

function isProgress(news: ChatProgress | ChatReport): news is ChatProgress {
  return "progress" in news;
}

function shownError(error: unknown): ShownError {
  if (error instanceof ApiError) return explainFailure(error);
  const detail = error instanceof Error ? error.message : String(error);
  return { title: "The page failed", detail, action: "retry", retryAfterSeconds: null };
}
