/**
 * The generation loop: embedding rows go into the KV cache in chunks, then one token at a time is chosen and read back. Knows ids and
 * tensors, no text and no media. Each forward pass is a generator of steps; between two steps `pace` may give others a turn, and may
 * throw to stop. An async generator, since logits may have to be fetched from a device.
 */
import type { Qwen2Model } from "../models/qwen2/qwen2-model.ts";
import type { KvCache } from "../nn/kv-cache.ts";
import { readAndRelease, release, runSteps } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { RequestError } from "../util/errors.ts";
import type { Sampler } from "./sampler.ts";
import { type ChosenToken, TokenChoice } from "./token-choice.ts";
import type { TokenConstraint } from "./token-constraint.ts";

/** One token of an answer. */
export type GeneratedToken = ChosenToken;

/** What the loop needs besides the model. */
export interface GenerateTokensOptions {
  /** The prompt [L, C]. Stays the caller's; not read any more once the first token is there. */
  readonly embeds: Tensor;
  /** Empty, or holding what comes before the prompt. Stays the caller's. */
  readonly cache: KvCache;
  readonly sampler: Sampler;
  /** What the answer must look like; used up by it. Default: anything. */
  readonly constraint?: TokenConstraint | null;
  /** Alternatives to report with each token, 0..20. Default null: no log-probabilities. */
  readonly logprobs?: number | null;
  /** A token of these ends the answer and is part of it. */
  readonly stopIds: ReadonlySet<number>;
  /** Longest answer; null: as far as the context goes. */
  readonly maxTokens: number | null;
  /** Prompt and answer together; what the cache holds before counts. */
  readonly contextLength: number;
  /** Rows of the prompt that are read together. Default 512. */
  readonly chunkRows?: number;
  /** Runs after every step: may wait, and may throw to stop. */
  readonly pace: () => Promise<void> | void;
  /** Told after each chunk of the prompt. */
  readonly onPrefill?: (rowsDone: number, rows: number) => void;
  /** Sees the logits [V] of every position that a token is chosen at. */
  readonly onLogits?: (logits: Float32Array) => void;
  /** Sees the hidden states of each chunk of the prompt, as `Qwen2ForwardOptions.onLayer`. */
  readonly onPromptLayer?: (index: number, hidden: Tensor) => void;
}

/** Enough rows to use a matrix kernel well, few enough that a step stays short and its activations small. */
export const CHUNK_ROWS = 512;

/**
 * Tokens one by one. Leaving the loop early is allowed at any time.
 *
 * @throws RequestError when the prompt leaves no room for an answer, `maxTokens` is no positive whole number, or it is too small for
 * what the constraint asks for.
 */
export async function* generateTokens(
  llm: Qwen2Model,
  options: GenerateTokensOptions,
): AsyncGenerator<GeneratedToken, void, void> {
  const { embeds, cache, sampler, stopIds, maxTokens, contextLength, pace, onLogits } = options;
  const start = cache.length + embeds.shape[0];
  if (start >= contextLength) {
    throw new RequestError(
      "generate",
      `expected a prompt below the context of ${contextLength} tokens, got ${start}, which leaves no room for an answer`,
    );
  }
  const { constraint = null, logprobs = null } = options;
  const room = contextLength - start;
  const choice = new TokenChoice({ sampler, constraint, logprobs, stopIds, maxTokens, room });
  const choose = async (logits: Tensor): Promise<GeneratedToken> => {
    const row = await readAndRelease(logits); // [V]
    onLogits?.(row);
    return choice.choose(row);
  };

  let token = await choose(await readPrompt(llm, options));
  for (;;) {
    yield token;
    if (token.end !== null) return;
    const row = llm.embed(Int32Array.of(token.id)); // [1, C]
    try {
      token = await choose(await runSteps(llm.forward(row, cache), pace));
    } finally {
      release(row);
    }
  }
}

/** Reads the prompt into the cache; logits [1, V] after its last row. */
async function readPrompt(llm: Qwen2Model, options: GenerateTokensOptions): Promise<Tensor> {
  const { embeds, cache, chunkRows = CHUNK_ROWS, pace, onPrefill, onPromptLayer: onLayer } = options;
  const [L] = embeds.shape;
  for (let start = 0; ; start += chunkRows) {
    const end = Math.min(L, start + chunkRows);
    const chunk = embeds.rows(start, end);
    const logits = await runSteps(llm.forward(chunk, cache, onLayer ? { onLayer } : {}), pace);
    onPrefill?.(end, L);
    if (end === L) return logits;
    release(logits);
  }
}
