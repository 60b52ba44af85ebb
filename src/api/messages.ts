/** From what users pass to `generate` to checked messages. Knows no media files and no tokens. */
import { RequestError } from "../util/errors.ts";
import type { ImagePart, Part, TextPart, VideoPart } from "./parts.ts";

/** One turn of a conversation. Text and media may be interleaved. Only a system message must be text alone. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly Part[];
}

/** A question, a list of parts (one user turn), or a whole conversation that ends with a user turn. */
export type PromptInput = string | readonly Part[] | readonly Message[];

export type CheckedPart = TextPart | ImagePart | VideoPart;

export interface CheckedMessage {
  readonly role: Message["role"];
  readonly parts: readonly CheckedPart[];
}

const ROLES: readonly string[] = ["system", "user", "assistant"];

/**
 * @param system A system message to put in front; wrong together with one in `input`.
 * @throws RequestError when the conversation is empty, has no user turn at its end, or a part is not known.
 */
export function checkMessages(input: PromptInput, system?: string): readonly CheckedMessage[] {
  const messages = toMessages(input).map(checkMessage);
  if (system !== undefined) {
    if (messages[0]?.role === "system")
      throw new RequestError("prompt", "got a system message twice: as option and as first message");
    messages.unshift({ role: "system", parts: [{ type: "text", text: system }] });
  }
  for (const [index, message] of messages.entries()) {
    if (message.role === "system" && index > 0)
      throw new RequestError("prompt", `a system message must come first, got one at place ${index}`);
    if (message.role !== "user" && message.parts.some((part) => part.type !== "text")) {
      throw new RequestError(
        "prompt",
        `media belong to user messages, got some in a message of role "${message.role}"`,
      );
    }
  }
  const last = messages.at(-1);
  if (last?.role !== "user") {
    throw new RequestError(
      "prompt",
      `the last message must be the user's, got ${last ? `role "${last.role}"` : "no message"}`,
    );
  }
  if (last.parts.every((part) => part.type === "text" && part.text.trim() === "")) {
    throw new RequestError("prompt", "the question is empty. You can ask something, or give a picture or a video");
  }
  return messages;
}

function toMessages(input: PromptInput): readonly Message[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input)) throw new RequestError("prompt", `expected text, parts or messages, got ${typeof input}`);
  const list = input as readonly (Part | Message)[];
  const isMessage = (item: Part | Message): item is Message =>
    typeof item === "object" && item !== null && "role" in item;
  if (list.length > 0 && list.every(isMessage)) return list as readonly Message[];
  if (list.some(isMessage)) throw new RequestError("prompt", "expected either parts or messages, got both in one list");
  return [{ role: "user", content: list as readonly Part[] }];
}

function checkMessage(message: Message): CheckedMessage {
  if (!ROLES.includes(message.role)) {
    throw new RequestError("prompt", `expected a role of ${ROLES.join(", ")}, got "${String(message.role)}"`);
  }
  const content = typeof message.content === "string" ? [message.content] : message.content;
  if (!Array.isArray(content))
    throw new RequestError("prompt", `expected text or parts as content, got ${typeof message.content}`);
  return { role: message.role, parts: (content as readonly Part[]).map(checkPart) };
}

function checkPart(part: Part): CheckedPart {
  if (typeof part === "string") return { type: "text", text: part };
  if (typeof part === "object" && part !== null) {
    if (part.type === "text" && typeof part.text === "string") return part;
    if ((part.type === "image" || part.type === "video") && part.source !== undefined) return part;
  }
  throw new RequestError(
    "prompt",
    `expected a string, image(…), video(…) or {type: "text", text}, got ${JSON.stringify(part)?.slice(0, 80)}`,
  );
}
