/** The beginning and the end that every way of answering shares: does the prompt fit, and what is the result. */
import { decodeTimeTokens } from "../preprocess/time-tokens.ts";
import { RequestError } from "../util/errors.ts";
import type { AnswerFacts } from "./answer-output.ts";
import type { GenerationResult, MediaReport } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { PreparedRequest } from "./prepare-request.ts";

/** What is worth knowing of a request when its pictures are no longer needed. */
export interface RequestFacts extends Omit<PreparedRequest, "cut" | "spans"> {
  /** Duration of the last video, for time tokens; null without one or when its source has no clock. */
  readonly videoSeconds: number | null;
}

/** Lets go of pictures and tiles. */
export function withoutPixels({ prompt, length, media, cut }: PreparedRequest): RequestFacts {
  return { prompt, length, media, videoSeconds: cut.videoSeconds };
}

/** A finished answer. Times are in `performance.now()` time. */
export interface Answered {
  readonly request: RequestFacts;
  readonly answer: AnswerFacts;
  readonly cachedTokens: number;
  readonly times: Readonly<Record<"askedMs" | "startMs" | "preparedMs" | "encodedMs" | "firstMs" | "endMs", number>>;
}

export function resultOf(loaded: LoadedModel, answered: Answered): GenerationResult {
  const { request, answer, cachedTokens, times } = answered;
  const { text, tokenIds } = answer;
  const decodeMs = times.endMs - times.firstMs;
  return {
    ...answer,
    timedText: timedText(text, loaded, request.videoSeconds),
    promptTokenIds: request.prompt.ids,
    promptText: request.prompt.text,
    promptLength: request.length,
    cachedTokens,
    media: request.media,
    timings: {
      loadMs: loaded.loadMs,
      preprocessMs: times.preparedMs - times.startMs,
      visionMs: times.encodedMs - times.preparedMs,
      prefillMs: times.firstMs - times.encodedMs,
      ttftMs: times.firstMs - times.askedMs,
      decodeMs,
      decodeTokensPerSecond: tokenIds.length > 1 ? ((tokenIds.length - 1) / Math.max(decodeMs, 1e-3)) * 1000 : 0,
    },
    memory: { peakRssBytes: process.resourceUsage().maxRSS * 1024 },
    model: loaded.name,
    device: loaded.device,
    threads: loaded.threads,
  };
}

/**
 * KEEPS: prompt and answer share the context, so a prompt that fills it is refused.
 *
 * @throws RequestError that names what takes the room.
 */
export function expectRoom({ length, media }: PreparedRequest, contextLength: number): void {
  if (length < contextLength) return;
  const mediaTokens = media.reduce((sum, { tokens }) => sum + tokens, 0);
  const share = media.length === 0 ? "" : `, ${mediaTokens} of them for ${describeMedia(media)}`;
  const remedy =
    media.length === 0 ? "a shorter conversation" : "fewer pictures, fewer tiles (maxTiles) or fewer frames";
  throw new RequestError(
    "prompt",
    `expected fewer tokens than the context of ${contextLength}, got a prompt of ${length}${share}. You can give ${remedy}`,
  );
}

function describeMedia(media: readonly MediaReport[]): string {
  const count = (kind: MediaReport["kind"], name: string): string[] => {
    const number = media.filter((item) => item.kind === kind).length;
    return number === 0 ? [] : [`${number} ${name}${number === 1 ? "" : "s"}`];
  };
  return [...count("image", "picture"), ...count("video", "video")].join(" and ");
}

/** Time tokens as seconds, where there are any and the video has a clock. */
function timedText(text: string, { config }: LoadedModel, videoSeconds: number | null): string | null {
  const { timeTokens } = config;
  if (timeTokens === null || videoSeconds === null) return null;
  const { count: numTimeTokens, format: timeTokenFormat } = timeTokens;
  return decodeTimeTokens(text, { duration: videoSeconds, numTimeTokens, timeTokenFormat });
}
