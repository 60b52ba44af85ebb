/** From results of `model.generate` to OpenAI's shapes. */
import { randomBytes } from "node:crypto";
import type { GenerationResult, LogprobOf, MediaReport, TokenLogprob, ToolCall } from "../api/generation.ts";
import type {
  ChatAnswer,
  ChatChoice,
  ChatCompletion,
  ChatFinishReason,
  ChatLogprob,
  ChatMediaReport,
  ChatReport,
  ChatTokenLogprob,
  ChatToolCall,
  ChatUsage,
} from "../client/chat-types.ts";

/** What all chunks of one answer share. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

export function answerHead(model: string): AnswerHead {
  return { id: `chatcmpl-${randomBytes(12).toString("hex")}`, created: Math.floor(Date.now() / 1000), model };
}

/** @param results One per choice, of the same question. */
export function completionOf(head: AnswerHead, results: readonly GenerationResult[]): ChatCompletion {
  const choices = results.map(
    (result, index): ChatChoice => ({
      index,
      message: messageOf(result),
      logprobs: result.logprobs === null ? null : { content: result.logprobs.map(logprobOf) },
      finish_reason: finishReasonOf(result),
    }),
  );
  const { id, created, model } = head;
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices,
    usage: usageOf(results),
    nvila: reportOf(results[0]),
  };
}

/** An answer that only calls tools has no text. */
function messageOf({ text, toolCalls }: GenerationResult): ChatAnswer {
  if (toolCalls.length === 0) return { role: "assistant", content: text, refusal: null };
  return {
    role: "assistant",
    content: text === "" ? null : text,
    refusal: null,
    tool_calls: toolCalls.map(toolCallOf),
  };
}

export function toolCallOf({ id, name, arguments: args }: ToolCall): ChatToolCall {
  return { id, type: "function", function: { name, arguments: args } };
}

export function logprobOf({ top, ...own }: TokenLogprob): ChatTokenLogprob {
  return { ...plainLogprobOf(own), top_logprobs: top.map(plainLogprobOf) };
}

function plainLogprobOf({ text, bytes, logprob }: LogprobOf): ChatLogprob {
  return { token: text, bytes, logprob };
}

/** A full context is a length, too. */
export function finishReasonOf({ finishReason }: GenerationResult): ChatFinishReason {
  return finishReason === "context" ? "length" : finishReason;
}

/** The prompt counts once, answers all. */
export function usageOf(results: readonly GenerationResult[]): ChatUsage {
  const [first] = results;
  const completion = results.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  return {
    prompt_tokens: first.promptLength,
    completion_tokens: completion,
    total_tokens: first.promptLength + completion,
    prompt_tokens_details: { cached_tokens: first.cachedTokens, visual_tokens: visualTokensOf(first) },
  };
}

export function visualTokensOf({ media }: GenerationResult): number {
  return media.reduce((sum, { tokens }) => sum + tokens, 0);
}

export function reportOf({
  media,
  timings,
  cachedTokens,
  memory,
  device,
  threads,
  model,
}: GenerationResult): ChatReport {
  const round = (value: number): number => Math.round(value * 100) / 100;
  return {
    media: media.map(mediaReportOf),
    timings: {
      preprocess_ms: round(timings.preprocessMs),
      vision_ms: round(timings.visionMs),
      prefill_ms: round(timings.prefillMs),
      ttft_ms: round(timings.ttftMs),
      decode_ms: round(timings.decodeMs),
      decode_tokens_per_second: round(timings.decodeTokensPerSecond),
    },
    cached_tokens: cachedTokens,
    peak_rss_bytes: memory.peakRssBytes,
    device,
    threads,
    model,
  };
}

function mediaReportOf(item: MediaReport): ChatMediaReport {
  const { kind, width, height, grid, scales, tiles, patchTokens, tokens, frameSeconds, pooling } = item;
  return {
    kind,
    width,
    height,
    grid,
    scales,
    tiles,
    patch_tokens: patchTokens,
    tokens,
    frame_seconds: frameSeconds,
    pooling,
  };
}
