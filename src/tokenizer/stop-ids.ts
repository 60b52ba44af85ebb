/**
 * Which tokens end an answer: eos, and whatever the chat template puts behind an assistant's message.
 * Source: VILA llava/utils/tokenizer.py `infer_stop_tokens`.
 */
import type { ChatMessage } from "./chat-message.ts";
import type { ChatTemplateOptions } from "./chat-template.ts";
import { SENTINEL_TOKEN } from "./tokenizer-files.ts";

/** What of a tokenizer is needed here. */
interface TemplatedEncoder {
  readonly eosId: number;
  encode(text: string): number[];
  idOf(token: string): number | null;
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions): string;
}

/** @throws ConfigError when the template cannot be rendered. */
export function inferStopIds(tokenizer: TemplatedEncoder): ReadonlySet<number> {
  const stopIds = new Set([tokenizer.eosId]);
  const messages = [
    { role: "user", content: "question" },
    { role: "assistant", content: SENTINEL_TOKEN },
    { role: "user", content: "question" },
    { role: "assistant", content: SENTINEL_TOKEN },
  ];
  const ids = tokenizer.encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: false }));
  const sentinel = tokenizer.idOf(SENTINEL_TOKEN);
  for (const [at, id] of ids.entries()) {
    if (id === sentinel && at + 1 < ids.length) stopIds.add(ids[at + 1]);
  }
  return stopIds;
}
