/** A conversation and the settings as the body of a chat completion. */
import { numberOf, type Settings } from "./settings.ts";
import type { Attachment, Message } from "./types.ts";

type Part = Readonly<Record<string, unknown>>;

interface RequestMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | Part[];
}

/** The body that the page sends: OpenAI's fields, and `nvila` for the progress of long pictures. */
export interface ChatBody {
  readonly messages: readonly RequestMessage[];
  readonly stream: true;
  readonly [field: string]: unknown;
}

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
  const turns: { role: "user" | "assistant"; parts: Part[] }[] = [];
  for (const message of messages) {
    if (message.role === "assistant" && message.text === "") continue;
    const parts = partsOf(message, settings, urlOf);
    const last = turns.at(-1);
    if (last?.role === message.role) last.parts.push(...parts);
    else turns.push({ role: message.role, parts });
  }
  const system = settings.system.trim();
  return {
    messages: [
      ...(system ? [{ role: "system" as const, content: system }] : []),
      ...turns.map(({ role, parts }) => ({ role, content: simplest(parts) })),
    ],
    stream: true,
    stream_options: { include_usage: true },
    nvila: { progress: true },
    ...samplingOf(settings),
    ...(settings.isJsonSchemaOn
      ? {
          response_format: {
            type: "json_schema",
            json_schema: { name: "answer", strict: true, schema: JSON.parse(settings.jsonSchema) as unknown },
          },
        }
      : {}),
  };
}

function partsOf(message: Message, settings: Settings, urlOf: (attachment: Attachment) => string): Part[] {
  const text = message.text === "" ? [] : [{ type: "text", text: message.text }];
  if (message.role === "assistant") return text;
  const frames = numberOf(settings, "frames");
  const media = message.attachments.map((attachment) =>
    attachment.kind === "image"
      ? { type: "image_url", image_url: { url: urlOf(attachment) } }
      : { type: "video_url", video_url: { url: urlOf(attachment) }, ...(frames === null ? {} : { frames }) },
  );
  return [...media, ...text];
}

/** A single text is sent as a string, which every server reads. */
function simplest(parts: Part[]): string | Part[] {
  return parts.length === 1 && parts[0].type === "text" ? (parts[0].text as string) : parts;
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
