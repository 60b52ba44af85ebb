/** A loaded model: asks, plans, describes itself. The work is done elsewhere (run-request.ts, prepare-request.ts). */
import { setMaxListeners } from "node:events";
import type { EngineHandle, EngineStats } from "../engine/engine.ts";
import { RequestError } from "../util/errors.ts";
import { createPace } from "../worker/pace.ts";
import { answerRequest } from "./answer-request.ts";
import { describeModel } from "./describe-model.ts";
import { withEitherSignal } from "./either-signal.ts";
import { checkGenerateOptions, type GenerateOptions } from "./generate-options.ts";
import { Generation, type GenerationChunk, type GenerationResult, type MediaReport } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { checkMessages, type PromptInput } from "./messages.ts";
import type { ModelDescription } from "./model-description.ts";
import { prepareRequest } from "./prepare-request.ts";
import { Turns } from "./turns.ts";

/** What a prompt costs, from `model.plan(…)`. */
export interface PromptPlan {
  /** One entry per picture or video, in order. */
  readonly media: readonly MediaReport[];
  /** Rows of the prompt with media in place. */
  readonly promptLength: number;
  /** Prompt and answer together must stay within this. */
  readonly contextLength: number;
  /** The templated prompt before tokenising. */
  readonly promptText: string;
  readonly promptTokenIds: readonly number[];
}

/**
 * A loaded model, made by `loadModel`. Requests on one model run together and share what they have in
 * common: a picture is encoded once, the beginning of a prompt that came before is not read again. The event loop stays free between steps.
 *
 * @example
 * const model = await loadModel("./NVILA-Lite-2B");
 * const { text, timings } = await model.generate([image("receipt.jpg"), "What is the total?"], { maxTokens: 64 });
 * console.log(text, timings.ttftMs);
 * model.close();
 */
export class Nvila {
  /** Hub id, or the name of the folder it was loaded from. */
  readonly name: string;
  readonly #turns: Turns;
  readonly #engine: EngineHandle;
  readonly #closing = new AbortController();
  #loaded: LoadedModel | null;

  /** Use `loadModel`. */
  constructor(loaded: LoadedModel) {
    this.name = loaded.name;
    this.#loaded = loaded;
    this.#engine = loaded.openEngine();
    this.#turns = new Turns(loaded.limits.maxConcurrent, loaded.limits.maxQueue);
    setMaxListeners(0, this.#closing.signal); // one for each answer, and they leave
  }

  /** What computes: "cpu" or "reference". */
  get device(): string {
    return this.#expectOpen().device;
  }

  /** Threads that compute. */
  get threads(): number {
    return this.#expectOpen().threads;
  }

  /** Most tokens of prompt and answer together. */
  get contextLength(): number {
    return this.#expectOpen().contextLength;
  }

  /**
   * Answers a question about pictures and videos. Returns at once; iterate the result for text as it comes, or await it.
   *
   * @param input A question, a list of parts (text, `image(…)`, `video(…)`), or a conversation that ends with the user's turn.
   * @param options Length, sampling, stop strings, tiles, signal, progress.
   * @returns A handle that is an async iterator of chunks and a promise of the result. Errors come through both:
   * RequestError for a wrong prompt, option or file and for a prompt that does not fit; BusyError (a RequestError) when too many requests
   * wait; the signal's reason after an abort.
   * @example
   * for await (const { text } of model.generate([video("clip.gif"), "What happens?"], { maxTokens: 64 })) {
   *   process.stdout.write(text);
   * }
   */
  generate(input: PromptInput, options: GenerateOptions = {}): Generation {
    const askedMs = performance.now();
    const run = async (emit: (chunk: GenerationChunk) => void, aborted: AbortSignal): Promise<GenerationResult> => {
      const loaded = this.#expectOpen();
      const checked = checkGenerateOptions(options);
      const messages = checkMessages(input, options.system);
      return withEitherSignal([aborted, this.#closing.signal], (signal) =>
        this.#turns.run(
          () => answerRequest(loaded, this.#engine, messages, checked, { emit, signal, askedMs }),
          signal,
        ),
      );
    };
    return new Generation(run, options.signal);
  }

  /**
   * What a prompt would cost in tiles and tokens. Opens the media, runs no model, and does not mind a prompt that is too long.
   *
   * @throws RequestError when the prompt is malformed or media cannot be read.
   * @example
   * const { media, promptLength } = await model.plan([image("poster.png")]);
   * console.log(media[0].tiles, media[0].tokens, promptLength);
   */
  async plan(
    input: PromptInput,
    options: Pick<GenerateOptions, "maxTiles" | "system" | "tools" | "toolChoice" | "signal" | "onProgress"> = {},
  ): Promise<PromptPlan> {
    const loaded = this.#expectOpen();
    const { maxTiles, form, onProgress } = checkGenerateOptions(options);
    const messages = checkMessages(input, options.system);
    const stops = [this.#closing.signal, ...(options.signal ? [options.signal] : [])];
    const request = await withEitherSignal(stops, (signal) =>
      prepareRequest(loaded, messages, { maxTiles, tools: form.tools, signal, pace: createPace(signal), onProgress }),
    );
    return {
      media: request.media,
      promptLength: request.length,
      contextLength: loaded.contextLength,
      promptText: request.prompt.text,
      promptTokenIds: request.prompt.ids,
    };
  }

  /** Sizes, layout and memory of the model. */
  describe(): ModelDescription {
    return describeModel(this.#expectOpen());
  }

  /** What the engine has in use, as far as it is known here. */
  get stats(): EngineStats {
    return this.#engine.stats;
  }

  /** Stops running answers and lets go of the weights. Doing it twice is allowed. */
  close(): void {
    const reason = new RequestError("model", `${this.name} was closed before the answer was complete`);
    this.#closing.abort(reason);
    void this.#engine.close(reason);
    this.#loaded = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #expectOpen(): LoadedModel {
    if (this.#loaded) return this.#loaded;
    throw new RequestError("model", `${this.name} is closed. You can load it again`);
  }
}
