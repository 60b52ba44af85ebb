/** A conversation as ids and labels. Source: VILA `preprocess_conversation` at b760c34. */

import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { SENTINEL_TOKEN } from "../tokenizer/tokenizer-files.ts";
import { ConfigError, RequestError } from "../util/errors.ts";
import { pythonStrip } from "../util/python-strip.ts";
import { type ByteSpan, type LabelMode, spanLabels, templateDiffLabels } from "./label-mask.ts";
import type { ExtractedTurn } from "./training-sample.ts";

export interface EncodeOptions {
  /** Default "span". */
  readonly labelMode?: LabelMode;
  /** Puts an empty system turn in front, which keeps the template from adding its own. Default false. */
  readonly noSystemPrompt?: boolean;
}

export interface EncodedConversation {
  /** After the chat template; what `ids` encode. */
  readonly text: string;
  readonly ids: readonly number[];
  /** −100 where nothing is learnt. */
  readonly labels: readonly number[];
  /** Nothing could be masked, so nothing is learnt. */
  readonly hasFailed: boolean;
}

const ROLES = { human: "user", gpt: "assistant", system: "system" } as const;

/**
 * @throws RequestError when a system turn comes with `noSystemPrompt`, or the template refuses the turns.
 * @throws ConfigError when the tokenizer lacks the sentinel or a template.
 */
export function encodeConversation(
  tokenizer: Tokenizer,
  turns: readonly ExtractedTurn[],
  options: EncodeOptions = {},
): EncodedConversation {
  const { labelMode = "span", noSystemPrompt = false } = options;
  if (noSystemPrompt && turns.some((turn) => turn.from === "system")) {
    throw new RequestError("data", "expected no system turn where the data set asks for no system prompt, got one");
  }
  const sentinel = tokenizer.idOf(SENTINEL_TOKEN);
  if (sentinel === null) throw new ConfigError("tokenizer", `expected the token ${SENTINEL_TOKEN}, got none`);
  const messages = turns.map(({ from, text }) => ({ role: ROLES[from], content: pythonStrip(text) }));
  if (noSystemPrompt) messages.unshift({ role: "system", content: "" });
  const render = (answers: string | null): string =>
    tokenizer.applyChatTemplate(
      messages.map((m) => (m.role === "assistant" && answers !== null ? { ...m, content: answers } : m)),
      { addGenerationPrompt: false },
    );
  const text = render(null);
  const template = render(SENTINEL_TOKEN);
  const ids = tokenizer.encode(text);
  if (labelMode === "template-diff") {
    return { text, ids, ...templateDiffLabels(ids, tokenizer.encode(template), sentinel) };
  }
  const answers = messages.filter((m) => m.role === "assistant").map((m) => m.content);
  const spans = answerSpans(tokenizer, template, answers);
  const sizes = ids.map((id) => tokenizer.bytesOf(id)?.length ?? 0);
  return { text, ids, labels: spanLabels(ids, sizes, spans), hasFailed: false };
}

/** Bytes of each answer with the token that ends it. Bytes are those of the normalised text, which tokens stand for. */
function answerSpans(tokenizer: Tokenizer, template: string, answers: readonly string[]): ByteSpan[] {
  const size = (text: string): number => new TextEncoder().encode(text.normalize("NFC")).length;
  const pieces = template.split(SENTINEL_TOKEN);
  let at = 0;
  return answers.map((answer, i) => {
    const start = at + size(pieces[i]);
    const rest = pieces[i + 1];
    const [end = ""] = tokenizer.specialTokensIn(rest);
    at = start + size(answer);
    return { start, end: at + (rest.startsWith(end) ? size(end) : 0) };
  });
}
