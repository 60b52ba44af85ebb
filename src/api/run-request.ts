/**
 * One answer from question to result, by itself: prepare, check that it fits, encode media, splice, generate, decode. This is the slow
 * definition of what the engine gives (answer-request.ts), and shows what is computed on the way.
 */
import { generateTokens } from "../engine/generate.ts";
import { Sampler } from "../engine/sampler.ts";
import type { ConstraintFor } from "../engine/token-constraint.ts";
import type { NvilaModel, StageTap, TileSource } from "../models/nvila/nvila-model.ts";
import type { MediaRows, SplicedPrompt } from "../models/nvila/splice.ts";
import { release, runSteps, type Steps } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { UnsupportedError } from "../util/errors.ts";
import { createPace } from "../worker/pace.ts";
import { AnswerOutput } from "./answer-output.ts";
import type { CheckedGenerateOptions } from "./generate-options.ts";
import type { GenerationChunk, GenerationResult } from "./generation.ts";
import type { LocalModel } from "./loaded-model.ts";
import type { CheckedMessage } from "./messages.ts";
import { type PreparedRequest, prepareRequest } from "./prepare-request.ts";
import type { Progress } from "./progress.ts";
import { expectRoom, type RequestFacts, resultOf, withoutPixels } from "./request-result.ts";

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
  /** Makes the automaton of a constraint; needed for options that have one. */
  readonly constraintFor?: ConstraintFor;
}

/** @throws RequestError, UnsupportedError for media or a prompt that cannot be used; the signal's reason on abort. */
export async function runRequest(
  loaded: LocalModel,
  messages: readonly CheckedMessage[],
  options: CheckedGenerateOptions,
  run: RunOptions,
): Promise<GenerationResult> {
  const { model, tokenizer, contextLength } = loaded;
  const { emit, taps = {} } = run;
  const { maxTokens, sampling, form, logprobs, onProgress } = options;
  const { constraint, tools } = form;
  if (constraint && !run.constraintFor)
    throw new UnsupportedError("generate", "expected constraintFor with a constraint");
  const pace = createPace(run.signal);
  const startMs = performance.now();
  const { embeds, preparedMs, request } = await encodePrompt(loaded, messages, options, run, pace);
  const encodedMs = performance.now();

  const output = new AnswerOutput(tokenizer, { ...options, tools }, emit);
  let firstMs = 0;
  using cache = model.llm.createCache(Math.min(contextLength, request.length + (maxTokens ?? contextLength)));
  try {
    const tokens = generateTokens(model.llm, {
      embeds,
      cache,
      sampler: new Sampler(sampling, request.prompt.ids),
      constraint: constraint && run.constraintFor ? run.constraintFor(constraint) : null,
      logprobs,
      stopIds: tokenizer.stopIds,
      maxTokens,
      contextLength,
      pace,
      onPrefill: (done, total) => onProgress({ stage: "prefill", label: "prompt tokens read", done, total }),
      ...(taps.layer ? { onPromptLayer: taps.layer } : {}),
      ...(taps.logits ? { onLogits: taps.logits } : {}),
    });
    for await (const { id, end, logprobs } of tokens) {
      if (firstMs === 0) {
        firstMs = performance.now();
        release(embeds); // the cache has it now
      }
      if (output.push(id, end, logprobs) === "stop") break;
    }
  } finally {
    if (firstMs === 0) release(embeds);
  }
  const answer = output.end();
  const endMs = performance.now();
  const times = { askedMs: run.askedMs, startMs, preparedMs, encodedMs, firstMs, endMs };
  return resultOf(loaded, { request, answer, cachedTokens: 0, times });
}

/** The prompt as rows, and what is worth knowing of it. Pictures and tiles are let go of at the end. */
interface EncodedPrompt {
  /** [length, H]; the caller releases it. */
  readonly embeds: Tensor;
  readonly request: RequestFacts;
  /** When the arithmetic began, in `performance.now()` time. */
  readonly preparedMs: number;
}

async function encodePrompt(
  loaded: LocalModel,
  messages: readonly CheckedMessage[],
  { maxTiles, form: { tools }, onProgress }: CheckedGenerateOptions,
  { signal, taps = {} }: RunOptions,
  pace: () => Promise<void> | void,
): Promise<EncodedPrompt> {
  const request = await prepareRequest(loaded, messages, { maxTiles, tools, signal, pace, onProgress });
  taps.request?.(request);
  expectRoom(request, loaded.contextLength);
  const preparedMs = performance.now();
  const { embeds } = await runSteps(promptRows(loaded.model, request, onProgress, taps), pace);
  return { embeds, request: withoutPixels(request), preparedMs };
}

/** Media to rows, rows into the prompt. One step per layer and batch. */
function* promptRows(
  model: NvilaModel,
  { cut: { plan }, prompt }: PreparedRequest,
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
