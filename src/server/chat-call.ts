/** From the checked body of a question to what `model.generate` takes. Opens nothing: media are still addresses. */
import type { ResponseFormat } from "../api/answer-form.ts";
import type { GenerateOptions } from "../api/generate-options.ts";
import type { Message } from "../api/messages.ts";
import { image, type Part, video } from "../api/parts.ts";
import { type ChatBody, type ChatBodyMessage, type ChatBodyPart, wrong } from "./chat-schema.ts";
import { RefusedError } from "./server-error.ts";
import type { ServerLimits } from "./server-options.ts";

export interface ChatCall {
  readonly messages: readonly Message[];
  /** For choice 0; the others differ in their seed. */
  readonly options: GenerateOptions;
  readonly n: number;
  readonly isStream: boolean;
  readonly includeUsage: boolean;
  readonly wantsProgress: boolean;
}

/** @throws RefusedError: 404 for another model, 400 for media that are no data: or http(s) URL or too many. */
export function chatCall(body: ChatBody, modelName: string, limits: ServerLimits): ChatCall {
  checkModel(body.model ?? null, modelName);
  const budget = { chars: limits.textChars, media: limits.mediaParts, frames: limits.frames };
  takeText(JSON.stringify(body.tools ?? []), "tools", budget);
  takeText(JSON.stringify(body.response_format ?? {}), "response_format", budget);
  const messages = body.messages.map((message, i) => toMessage(message, `messages[${i}]`, budget));
  return {
    messages,
    options: optionsOf(body, limits),
    n: body.n ?? 1,
    isStream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    wantsProgress: body.nvila?.progress ?? false,
  };
}

/** The loaded model goes by its whole name and by its last part. */
export function checkModel(asked: string | null, modelName: string): void {
  if (asked === null || asked === modelName || asked === modelName.split("/").at(-1)) return;
  throw new RefusedError(404, `the model "${asked.slice(0, 100)}" is not loaded. You can ask for "${modelName}"`, {
    param: "model",
    apiCode: "model_not_found",
  });
}

function optionsOf(body: ChatBody, limits: ServerLimits): GenerateOptions {
  const { temperature, top_p: topP, seed, stop, nvila } = body;
  const asked = body.max_completion_tokens ?? body.max_tokens ?? limits.answerTokens;
  const given = {
    maxTokens: Math.min(asked, limits.answerTokens),
    temperature,
    topP,
    seed: seed == null ? undefined : Math.abs(seed),
    stop,
    maxTiles: nvila?.max_tiles,
    topK: nvila?.top_k,
    minP: nvila?.min_p,
    repetitionPenalty: nvila?.repetition_penalty,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : null,
    responseFormat: body.response_format && responseFormatOf(body.response_format),
    ...toolOptionsOf(body),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value != null)) as GenerateOptions;
}

function responseFormatOf(format: NonNullable<ChatBody["response_format"]>): ResponseFormat {
  return format.type === "json_schema" ? { type: "json_schema", schema: format.json_schema.schema } : format;
}

/** No tools is the same as an empty list of them. */
function toolOptionsOf({ tools, tool_choice: choice }: ChatBody): Pick<GenerateOptions, "tools" | "toolChoice"> {
  if (tools == null || tools.length === 0) {
    if (choice == null || choice === "none" || choice === "auto") return {};
    throw wrong("tool_choice", "expected tools beside it");
  }
  const list = tools.map(({ function: { name, description, parameters } }) => ({
    name,
    ...(description == null ? {} : { description }),
    ...(parameters == null ? {} : { parameters }),
  }));
  if (choice == null) return { tools: list };
  if (typeof choice === "string") return { tools: list, toolChoice: choice };
  const { name } = choice.function;
  if (!list.some((tool) => tool.name === name)) throw wrong("tool_choice", "expected the name of a tool", name);
  return { tools: list, toolChoice: { name } };
}

/** What is left of the request's bounds. */
interface Budget {
  chars: number;
  media: number;
  readonly frames: number;
}

function toMessage(message: ChatBodyMessage, path: string, budget: Budget): Message {
  const content = message.content ?? "";
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  const role = message.role === "developer" ? "system" : message.role;
  const calls = message.role === "assistant" ? (message.tool_calls ?? []) : [];
  const toolCalls = calls.map(({ id, function: { name, arguments: args } }) => ({ id, name, arguments: args }));
  takeText(JSON.stringify(calls), `${path}.tool_calls`, budget);
  return {
    role,
    content: parts.map((part, i) => toPart(part, `${path}.content[${i}]`, budget)),
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
    ...(message.role === "tool" ? { toolCallId: message.tool_call_id } : {}),
  };
}

/** Text is read by the tokenizer or a schema's compiler, whose time grows with it. */
function takeText(text: string, path: string, budget: Budget): void {
  budget.chars -= text.length;
  if (budget.chars < 0) throw wrong(path, "the request holds more text than the server takes");
}

function toPart(part: ChatBodyPart, path: string, budget: Budget): Part {
  if (part.type === "text") {
    takeText(part.text, `${path}.text`, budget);
    return part;
  }
  if (--budget.media < 0) throw wrong(path, "the request holds more pictures and videos than the server takes");
  switch (part.type) {
    case "image_url": {
      const address = typeof part.image_url === "string" ? part.image_url : part.image_url.url;
      return image(checkAddress(address, `${path}.image_url.url`));
    }
    case "video_url": {
      const inner = typeof part.video_url === "string" ? { url: part.video_url } : part.video_url;
      return video(checkAddress(inner.url, `${path}.video_url.url`), framesOf(part, inner, path, budget));
    }
    case "input_video": {
      const { data, url } = part.input_video;
      if ((data == null) === (url == null)) throw wrong(`${path}.input_video`, "expected either data or url");
      const source = url == null ? `data:video/mp4;base64,${data}` : checkAddress(url, `${path}.input_video.url`);
      return video(source, framesOf(part, part.input_video, path, budget));
    }
  }
}

interface Sampling {
  readonly frames?: number | null | undefined;
  readonly fps?: number | null | undefined;
}

function framesOf(outer: Sampling, inner: Sampling, path: string, budget: Budget): { frames?: number; fps?: number } {
  const frames = inner.frames ?? outer.frames;
  const fps = inner.fps ?? outer.fps;
  if (frames != null && frames > budget.frames) {
    throw wrong(`${path}.frames`, `expected at most ${budget.frames}`, frames);
  }
  return { ...(frames == null ? {} : { frames }), ...(fps == null ? {} : { fps }) };
}

/** Files of the server's machine are nobody's business: only data: and http(s): URLs pass. */
function checkAddress(address: string, path: string): string {
  if (/^data:/i.test(address)) return address;
  if (/^https?:\/\//i.test(address) && URL.canParse(address)) return address;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1];
  const got = scheme === undefined ? "something else" : `one with ${scheme.slice(0, 20)}:`;
  throw wrong(path, `expected a data: or http(s): URL, got ${got}`);
}
