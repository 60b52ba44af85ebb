/**
 * One answer's next token from the logits of its last row: what the constraint allows, what the sampler picks, whether the answer ends
 * with it. The plain loop and the scheduler both choose here.
 */
import { RequestError } from "../util/errors.ts";
import { checkLogprobs, logprobsOf } from "./logprobs.ts";
import type { Sampler } from "./sampler.ts";
import type { TokenConstraint, TokenLogprobs } from "./token-constraint.ts";

/** Why a sequence ended: a stop id or a complete answer, `maxTokens`, or no more room for another token. */
export type EndReason = "stop" | "length" | "context";

export interface TokenChoiceOptions {
  readonly sampler: Sampler;
  /** What the answer must look like; null: anything. */
  readonly constraint: TokenConstraint | null;
  /** Alternatives to report with each token; null: no log-probabilities. */
  readonly logprobs: number | null;
  /** A token of these ends the answer and is part of it. */
  readonly stopIds: ReadonlySet<number>;
  /** Longest answer; null: as far as the context goes. */
  readonly maxTokens: number | null;
  /** Rows that are left for the answer in the context, at least 1. */
  readonly room: number;
}

/** One token of an answer. */
export interface ChosenToken {
  readonly id: number;
  /** Set with the last token. */
  readonly end: EndReason | null;
  /** Null unless asked for. */
  readonly logprobs: TokenLogprobs | null;
}

export class TokenChoice {
  readonly #options: TokenChoiceOptions;
  /** Tokens that the answer may have in all. */
  readonly #limit: number;
  #count = 0;

  /** @throws RequestError when `maxTokens` or `logprobs` is out of range, or too few tokens are left for what the constraint asks for. */
  constructor(options: TokenChoiceOptions) {
    const { constraint, maxTokens, room, logprobs } = options;
    if (maxTokens !== null && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
      throw new RequestError("generate", `expected maxTokens to be a whole number of at least 1, got ${maxTokens}`);
    }
    checkLogprobs(logprobs);
    this.#options = options;
    this.#limit = Math.min(maxTokens ?? room, room);
    if (constraint && constraint.tokensNeeded > this.#limit) {
      const limit = maxTokens !== null && maxTokens <= room ? `maxTokens of ${maxTokens}` : `rest of the context`;
      throw new RequestError(
        "generate",
        `expected room for an answer of the form that is asked for, which may take ${constraint.tokensNeeded} tokens at its shortest, ` +
          `got a ${limit}: ${this.#limit} tokens. You can allow more`,
      );
    }
  }

  /** @param logits [V], as the model gave them. */
  choose(logits: Float32Array): ChosenToken {
    const { sampler, constraint, logprobs, stopIds, maxTokens } = this.#options;
    const id = sampler.next(logits, constraint?.allowed(this.#limit - this.#count) ?? null);
    this.#count++;
    const isStop = stopIds.has(id);
    if (constraint && !isStop) constraint.accept(id);
    const end =
      isStop || constraint?.isFinal
        ? "stop"
        : this.#count === maxTokens
          ? "length"
          : this.#count >= this.#limit
            ? "context"
            : null;
    return { id, end, logprobs: logprobs === null ? null : logprobsOf(logits, id, logprobs) };
  }
}
