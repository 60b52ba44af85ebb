/** A conversation and the settings as the body of a chat completion. */
import type { ChatMessage, ChatPart, ChatRequest, ChatTextPart } from "nvila/client";
import { numberOf, type Settings } from "./settings.ts";
import type { Attachment, Message } from "./types.ts";

/** The body that the page sends. */
export type ChatBody = ChatRequest & { readonly stream: true };

/**
 * The request for the next answer of `messages`, which end with a question. Answers without text (failed ones) are left out, and
 * questions that then follow each other become one.
 * @param urlOf The data URL of an attachment.
 */
export function buildRequest(
  messages: readonly Message[],
  settings: Settings,
  urlOf: (attachment: Attachment) => string,
): ChatBody {
  const turns: Turn[] = [];
  for (const message of messages) {
    if (message.role === "assistant" && message.text === "") continue;
    const turn = turnOf(message, settings, urlOf);
    const last = turns.at(-1);
    if (last?.role === "user" && turn.role === "user") last.parts.push(...turn.parts);
    else turns.push(turn);
  }
  const system = settings.system.trim();
  const tiles = numberOf(settings, "tiles");
  return {
    messages: [...(system ? [{ role: "system" as const, content: system }] : []), ...turns.map(messageOf)],
    stream: true,
    stream_options: { include_usage: true },
    nvila: { progress: true, ...(tiles === null ? {} : { max_tiles: tiles }) },
    ...samplingOf(settings),
    ...(settings.isJsonSchemaOn
      ? {
          response_format: {
            type: "json_schema" as const,
            json_schema: {
              name: "answer",
              strict: true,
              schema: JSON.parse(settings.jsonSchema) as Record<string, unknown>,
            },
          },
        }
      : {}),
  };
}

type Turn =
  | { readonly role: "user"; readonly parts: ChatPart[] }
  | { readonly role: "assistant"; readonly text: string };

function turnOf(message: Message, settings: Settings, urlOf: (attachment: Attachment) => string): Turn {
  if (message.role === "assistant") return { role: "assistant", text: message.text };
  const frames = numberOf(settings, "frames");
  const media = message.attachments.map((attachment): ChatPart => {
    const url = urlOf(attachment);
    if (attachment.kind === "image") return { type: "image_url", image_url: { url } };
    return { type: "video_url", video_url: { url }, ...(frames === null ? {} : { frames }) };
  });
  const text: ChatTextPart[] = message.text === "" ? [] : [{ type: "text", text: message.text }];
  return { role: "user", parts: [...media, ...text] };
}

/** A single text is sent as a string, which every server reads. */
function messageOf(turn: Turn): ChatMessage {
  if (turn.role === "assistant") return { role: "assistant", content: turn.text };
  const [first] = turn.parts;
  return { role: "user", content: turn.parts.length === 1 && first.type === "text" ? first.text : turn.parts };
}

function samplingOf(settings: Settings): Record<string, number> {
  const names = { temperature: "temperature", topP: "top_p", maxTokens: "max_tokens", seed: "seed" } as const;
  const fields: Record<string, number> = {};
  for (const [field, name] of Object.entries(names)) {
    const value = numberOf(settings, field as keyof typeof names);
    if (value !== null) fields[name] = value;
  }
  return fields;
}
