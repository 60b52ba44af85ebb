/** One answer from question to result, through the engine that the model's requests share. */
import type { EngineHandle } from "../engine/engine.ts";
import { createPace } from "../worker/pace.ts";
import { AnswerOutput } from "./answer-output.ts";
import type { CheckedGenerateOptions } from "./generate-options.ts";
import type { GenerationResult } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { promptItems } from "./media-items.ts";
import type { CheckedMessage } from "./messages.ts";
import { prepareRequest } from "./prepare-request.ts";
import { expectRoom, resultOf, withoutPixels } from "./request-result.ts";
import type { RunOptions } from "./run-request.ts";

/** @throws RequestError, UnsupportedError for media or a prompt that cannot be used; the signal's reason on abort. */
export async function answerRequest(
  loaded: LoadedModel,
  engine: EngineHandle,
  messages: readonly CheckedMessage[],
  options: CheckedGenerateOptions,
  { emit, signal, askedMs }: Omit<RunOptions, "taps">,
): Promise<GenerationResult> {
  const { tokenizer, contextLength } = loaded;
  const { maxTiles, maxTokens, sampling, form, logprobs, onProgress } = options;
  const { constraint, tools } = form;
  const pace = createPace(signal);
  const startMs = performance.now();
  const prepared = await prepareRequest(loaded, messages, { maxTiles, tools, signal, pace, onProgress });
  expectRoom(prepared, contextLength);
  const prompt = await promptItems(loaded, prepared, pace);
  const request = withoutPixels(prepared);
  const preparedMs = performance.now();

  const output = new AnswerOutput(tokenizer, { ...options, tools }, emit);
  const engineRequest = {
    prompt,
    sampling,
    history: request.prompt.ids,
    stopIds: tokenizer.stopIds,
    maxTokens,
    contextLength,
    constraint,
    logprobs,
  };
  const report = await engine.run(engineRequest, {
    signal,
    onVision: (done, total) => onProgress({ stage: "vision", label: "tiles encoded", done, total }),
    onPrefill: (done, total) => onProgress({ stage: "prefill", label: "prompt tokens read", done, total }),
    onToken: (id, end, logprobs) => output.push(id, end, logprobs),
  });
  const answer = output.end();
  const { encodedMs, firstTokenMs: firstMs, cachedRows: cachedTokens } = report;
  const times = { askedMs, startMs, preparedMs, encodedMs, firstMs, endMs: performance.now() };
  return resultOf(loaded, { request, answer, cachedTokens, times });
}
