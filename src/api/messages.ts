/** From what users pass to `generate` to checked messages. Knows no media files and no tokens. */
import { messageOf, RequestError } from "../util/errors.ts";
import type { ToolCall } from "./generation.ts";
import type { ImagePart, Part, TextPart, VideoPart } from "./parts.ts";

/** One turn of a conversation. Text and media may be interleaved; only the user's messages have media. */
export interface Message {
  /** "tool" gives what a call has returned. */
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | readonly Part[];
  /** Calls that an assistant's message has made, as in `GenerationResult`. */
  readonly toolCalls?: readonly ToolCall[];
  /** The call that a message of role "tool" answers. */
  readonly toolCallId?: string;
}

/** A question, a list of parts (one user turn), or a whole conversation that ends with a user turn or what a tool has returned. */
export type PromptInput = string | readonly Part[] | readonly Message[];

export type CheckedPart = TextPart | ImagePart | VideoPart;

export interface CheckedMessage {
  readonly role: Message["role"];
  readonly parts: readonly CheckedPart[];
  /** With arguments as JSON values. */
  readonly toolCalls: readonly { readonly name: string; readonly arguments: unknown }[];
}

const ROLES: readonly string[] = ["system", "user", "assistant", "tool"];

/**
 * @param system A system message to put in front; wrong together with one in `input`.
 * @throws RequestError when the conversation is empty, has no user turn at its end, or a part is not known.
 */
export function checkMessages(input: PromptInput, system?: string): readonly CheckedMessage[] {
  const given = toMessages(input);
  const messages = given.map(checkMessage);
  checkCallIds(given);
  if (system !== undefined) {
    if (messages[0]?.role === "system")
      throw new RequestError("prompt", "got a system message twice: as option and as first message");
    messages.unshift({ role: "system", parts: [{ type: "text", text: system }], toolCalls: [] });
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
  if (last?.role === "tool") return messages;
  if (last?.role !== "user") {
    throw new RequestError(
      "prompt",
      `the last message must be the user's or a tool's, got ${last ? `role "${last.role}"` : "no message"}`,
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
  const { role, toolCalls = [] } = message;
  if (!Array.isArray(toolCalls) || (toolCalls.length > 0 && role !== "assistant")) {
    throw new RequestError(
      "prompt",
      `expected calls of tools as a list in assistant messages alone, got some of role "${role}"`,
    );
  }
  return { role, parts: (content as readonly Part[]).map(checkPart), toolCalls: toolCalls.map(checkCall) };
}

function checkCall({ name, arguments: args }: ToolCall): { name: string; arguments: unknown } {
  if (typeof name !== "string" || typeof args !== "string") {
    throw new RequestError("prompt", "expected a name and the JSON text of arguments in each call of a tool");
  }
  try {
    return { name, arguments: JSON.parse(args) };
  } catch (error) {
    throw new RequestError("prompt", `the arguments of the call of "${name}" are not JSON: ${messageOf(error)}`);
  }
}

/** What a tool has returned must belong to a call before it. */
function checkCallIds(messages: readonly Message[]): void {
  const ids = new Set<string>();
  for (const { role, toolCalls = [], toolCallId } of messages) {
    for (const { id } of toolCalls) ids.add(id);
    if (role === "tool" ? toolCallId === undefined || ids.has(toolCallId) : toolCallId === undefined) continue;
    throw new RequestError(
      "prompt",
      `expected toolCallId to name a call of an earlier message, in a message of role "tool", got ${JSON.stringify(toolCallId)}`,
    );
  }
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
