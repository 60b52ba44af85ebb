/** One answer from question to result: prepare, check that it fits, encode media, splice, generate, decode. */
import { generateTokens } from "../engine/generate.ts";
import { Sampler } from "../engine/sampler.ts";
import type { NvilaModel, StageTap, TileSource } from "../models/nvila/nvila-model.ts";
import type { MediaRows, SplicedPrompt } from "../models/nvila/splice.ts";
import { decodeTimeTokens } from "../preprocess/time-tokens.ts";
import { release, runSteps, type Steps } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { AnswerText } from "../tokenizer/answer-text.ts";
import { RequestError } from "../util/errors.ts";
import type { CheckedGenerateOptions } from "./generate-options.ts";
import type { FinishReason, GenerationChunk, GenerationResult, MediaReport } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { CheckedMessage } from "./messages.ts";
import { createPace } from "./pace.ts";
import { type PreparedRequest, prepareRequest } from "./prepare-request.ts";
import type { Progress } from "./progress.ts";

/** See what is computed on the way; for tests. Tensors must be read at once, their memory is reused. */
export interface RunTaps {
  readonly request?: (request: PreparedRequest) => void;
  /** Intermediate values of encoder call `call`. */
  readonly stage?: (call: number, stage: Parameters<StageTap>[0], x: Tensor) => void;
  readonly media?: (rows: readonly MediaRows[]) => void;
  readonly prompt?: (prompt: SplicedPrompt) => void;
  readonly layer?: (index: number, hidden: Tensor) => void;
  readonly logits?: (row: Float32Array) => void;
}

export interface RunOptions {
  readonly emit: (chunk: GenerationChunk) => void;
  readonly signal: AbortSignal;
  /** When the caller asked, in `performance.now()` time. */
  readonly askedMs: number;
  readonly taps?: RunTaps;
}

/** @throws RequestError, UnsupportedError for media or a prompt that cannot be used; the signal's reason on abort. */
export async function runRequest(
  loaded: LoadedModel,
  messages: readonly CheckedMessage[],
  options: CheckedGenerateOptions,
  run: RunOptions,
): Promise<GenerationResult> {
  const { model, tokenizer, backend, contextLength } = loaded;
  const { emit, taps = {} } = run;
  const { maxTokens, stop, sampling, onProgress } = options;
  const pace = createPace(run.signal);
  const startMs = performance.now();
  const { embeds, preparedMs, ...prompt } = await encodePrompt(loaded, messages, options, run, pace);
  const encodedMs = performance.now();

  const answer = new AnswerText(tokenizer.decodeStream({ skipSpecialTokens: true }), stop);
  let finishReason: FinishReason = "stop";
  let firstMs = 0;
  const tokenIds: number[] = [];
  using cache = model.llm.createCache(Math.min(contextLength, prompt.length + (maxTokens ?? contextLength)));
  try {
    const tokens = generateTokens(model.llm, {
      embeds,
      cache,
      sampler: new Sampler(sampling, prompt.ids),
      stopIds: tokenizer.stopIds,
      maxTokens,
      contextLength,
      pace,
      onPrefill: (done, total) => onProgress({ stage: "prefill", label: "prompt tokens read", done, total }),
      ...(taps.layer ? { onPromptLayer: taps.layer } : {}),
      ...(taps.logits ? { onLogits: taps.logits } : {}),
    });
    for await (const { id, end } of tokens) {
      if (tokenIds.length === 0) {
        firstMs = performance.now();
        release(embeds); // the cache has it now
      }
      tokenIds.push(id);
      emit({ text: answer.push(id), tokenIds: [id] });
      if (end !== null) finishReason = end;
      if (answer.isStopped) {
        finishReason = "stop";
        break;
      }
    }
  } finally {
    if (tokenIds.length === 0) release(embeds);
  }
  const rest = answer.end();
  if (rest !== "") emit({ text: rest, tokenIds: [] });
  const endMs = performance.now();
  const decodeMs = endMs - firstMs;
  return {
    text: answer.text,
    timedText: timedText(answer.text, loaded, prompt.videoSeconds),
    tokenIds,
    promptTokenIds: prompt.ids,
    promptText: prompt.text,
    promptLength: prompt.length,
    finishReason,
    media: prompt.media,
    timings: {
      loadMs: loaded.loadMs,
      preprocessMs: preparedMs - startMs,
      visionMs: encodedMs - preparedMs,
      prefillMs: firstMs - encodedMs,
      ttftMs: firstMs - run.askedMs,
      decodeMs,
      decodeTokensPerSecond: tokenIds.length > 1 ? ((tokenIds.length - 1) / Math.max(decodeMs, 1e-3)) * 1000 : 0,
    },
    memory: { peakRssBytes: process.resourceUsage().maxRSS * 1024 },
    model: loaded.name,
    device: backend.name,
    threads: backend.threads,
  };
}

/** The prompt as rows, and what is worth knowing of it. Pictures and tiles are let go of at the end. */
interface EncodedPrompt {
  /** [length, H]; the caller releases it. */
  readonly embeds: Tensor;
  readonly ids: readonly number[];
  readonly text: string;
  readonly length: number;
  readonly media: readonly MediaReport[];
  readonly videoSeconds: number | null;
  /** When the arithmetic began, in `performance.now()` time. */
  readonly preparedMs: number;
}

async function encodePrompt(
  loaded: LoadedModel,
  messages: readonly CheckedMessage[],
  { maxTiles, onProgress }: CheckedGenerateOptions,
  { signal, taps = {} }: RunOptions,
  pace: () => Promise<void> | void,
): Promise<EncodedPrompt> {
  const request = await prepareRequest(loaded, messages, { maxTiles, signal, pace, onProgress });
  taps.request?.(request);
  expectRoom(request, loaded.contextLength);
  const preparedMs = performance.now();
  const { embeds } = await runSteps(promptRows(loaded.model, request, onProgress, taps), pace);
  const { prompt, length, media, videoSeconds } = request;
  return { embeds, ids: prompt.ids, text: prompt.text, length, media, videoSeconds, preparedMs };
}

/**
 * KEEPS: prompt and answer share the context, so a prompt that fills it is refused.
 *
 * @throws RequestError that names what takes the room.
 */
function expectRoom({ length, media }: PreparedRequest, contextLength: number): void {
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

/** Media to rows, rows into the prompt. One step per layer and batch. */
function* promptRows(
  model: NvilaModel,
  { plan, prompt }: PreparedRequest,
  onProgress: (progress: Progress) => void,
  taps: RunTaps,
): Steps<SplicedPrompt> {
  const total = plan.calls.reduce((sum, call) => sum + call.tiles.count, 0);
  let before = 0;
  const report = (done: number): void => onProgress({ stage: "vision", label: "tiles encoded", done, total });
  const media: MediaRows[] = [];
  for (const [index, call] of plan.calls.entries()) {
    const first = before;
    before += call.tiles.count;
    const tiles: TileSource = {
      count: call.tiles.count,
      pixels: (start, end) => {
        report(first + start);
        return call.tiles.pixels(start, end);
      },
    };
    media.push(...(yield* model.encodeMedia([{ ...call, tiles }], (stage, x) => taps.stage?.(index, stage, x))));
  }
  if (total > 0) report(total);
  taps.media?.(media);
  const spliced = model.splice(Int32Array.from(prompt.ids), media);
  taps.prompt?.(spliced);
  return spliced;
}

/** Time tokens as seconds, where there are any and the video has a clock. */
function timedText(text: string, { config }: LoadedModel, videoSeconds: number | null): string | null {
  const { timeTokens } = config;
  if (timeTokens === null || videoSeconds === null) return null;
  const { count: numTimeTokens, format: timeTokenFormat } = timeTokens;
  return decodeTimeTokens(text, { duration: videoSeconds, numTimeTokens, timeTokenFormat });
}
