/**
 * What comes out of one answer while its tokens come: text for the stream, log-probabilities, the reason of its end. Both ways of answering
 * (answer-request.ts, run-request.ts) share it. Knows no model.
 */
import type { EndReason } from "../engine/token-choice.ts";
import type { TokenLogprobs } from "../engine/token-constraint.ts";
import { AnswerText } from "../tokenizer/answer-text.ts";
import { createUtf8Decoder } from "../tokenizer/decode-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { ToolCallText } from "../tokenizer/tool-call-text.ts";
import type { TemplateTool } from "../tokenizer/tool-prompt.ts";
import type { FinishReason, GenerationChunk, LogprobOf, TokenLogprob, ToolCall } from "./generation.ts";

/** What is known of an answer at its end. */
export interface AnswerFacts {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** Null unless asked for. */
  readonly logprobs: readonly TokenLogprob[] | null;
  /** In order; not part of `text`. */
  readonly toolCalls: readonly ToolCall[];
}

export interface AnswerOutputOptions {
  readonly stop: readonly string[];
  readonly logprobs: number | null;
  /** Calls of these are taken out of the text. */
  readonly tools: readonly TemplateTool[];
}

export class AnswerOutput {
  readonly #tokenizer: Tokenizer;
  readonly #answer: AnswerText;
  readonly #calls: ToolCallText | null;
  readonly #emit: (chunk: GenerationChunk) => void;
  readonly #tokenIds: number[] = [];
  readonly #logprobs: TokenLogprob[] | null;
  #finishReason: FinishReason = "stop";

  /** @throws RequestError when a stop string is empty or no string. */
  constructor(
    tokenizer: Tokenizer,
    { stop, logprobs, tools }: AnswerOutputOptions,
    emit: (chunk: GenerationChunk) => void,
  ) {
    this.#tokenizer = tokenizer;
    this.#calls = tools.length === 0 ? null : new ToolCallText(tools.map((tool) => tool.function.name));
    this.#answer = new AnswerText(tokenizer.decodeStream({ skipSpecialTokens: true }), stop, this.#calls);
    this.#logprobs = logprobs === null ? null : [];
    this.#emit = emit;
  }

  /** Takes the next token. @returns "stop" when the text has come to a stop string. */
  push(id: number, end: EndReason | null, logprobs?: TokenLogprobs | null): "stop" | undefined {
    this.#tokenIds.push(id);
    const text = this.#answer.push(id);
    if (this.#logprobs && logprobs) {
      const named = this.#nameLogprobs(id, logprobs);
      this.#logprobs.push(named);
      this.#emit({ text, tokenIds: [id], logprobs: [named] });
    } else this.#emit({ text, tokenIds: [id] });
    this.#finishReason = this.#answer.isStopped || end === null ? "stop" : end;
    return this.#answer.isStopped ? "stop" : undefined;
  }

  /** No more tokens: gives out what was held back. */
  end(): AnswerFacts {
    const rest = this.#answer.end();
    if (rest !== "") this.#emit({ text: rest, tokenIds: [] });
    const toolCalls = (this.#calls?.calls ?? []).map((call) => ({ id: callId(), ...call }));
    const isCalling = toolCalls.length > 0 && this.#finishReason === "stop";
    return {
      text: this.#answer.text,
      tokenIds: this.#tokenIds,
      finishReason: isCalling ? "tool_calls" : this.#finishReason,
      logprobs: this.#logprobs,
      toolCalls,
    };
  }

  #nameLogprobs(id: number, { logprob, top }: TokenLogprobs): TokenLogprob {
    return { ...this.#named(id, logprob), top: top.map((other) => this.#named(other.id, other.logprob)) };
  }

  #named(id: number, logprob: number): LogprobOf {
    const bytes = this.#tokenizer.bytesOf(id) ?? new Uint8Array(0);
    return { id, text: createUtf8Decoder().decode(bytes), bytes: [...bytes], logprob };
  }
}

/** Unique, in the form that OpenAI's clients know. */
function callId(): string {
  return `call_${globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
