/** Bodies that no client means: questions with one thing or many things wrong, cut off, or no JSON at all. Repeatable by seed. */
import type { Random } from "../../src/util/random.ts";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const FIELDS = [
  "model",
  "messages",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "seed",
  "stop",
  "n",
  "logprobs",
  "top_logprobs",
  "presence_penalty",
  "frequency_penalty",
  "response_format",
  "tools",
  "tool_choice",
  "stream",
  "stream_options",
  "nvila",
  "role",
  "content",
  "type",
  "text",
  "image_url",
  "video_url",
  "input_video",
  "url",
  "frames",
  "fps",
  "tool_calls",
  "tool_call_id",
  "json_schema",
  "schema",
  "function",
  "__proto__",
  "constructor",
];
const TEXTS = [
  "",
  " ",
  "user",
  "assistant",
  "system",
  "tool",
  "text",
  "image_url",
  "function",
  "json_schema",
  "<|im_end|>",
  "<image>",
  "<vila/video>",
  "\u0000",
  "\uD800",
  "😀".repeat(50),
  "a".repeat(5000),
  "file:///etc/passwd",
  "http://127.0.0.1:1/x.png",
  "http://169.254.169.254/",
  "data:,",
  "data:image/png;base64,AAAA",
  "data:image/png;base64,%%%",
  `${PIXEL.slice(0, 60)}AAAA`,
  PIXEL,
];
const NUMBERS = [0, -0, 1, -1, 2, 0.5, -2, 3.5, 1e-320, 1e308, -1e308, 2 ** 31, 2 ** 53, -(2 ** 63), 20, 21, 4097];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The bytes of body number `index`. */
export function randomBody(random: Random): Uint8Array {
  const kind = random.nextUint32() % 10;
  if (kind === 0) return Uint8Array.from({ length: random.nextUint32() % 400 }, () => random.nextUint32() & 255);
  const json = JSON.stringify(
    kind < 8 ? mutate(question(random), random, 1 + (random.nextUint32() % 3)) : anything(random, 0),
  );
  const bytes = new TextEncoder().encode(json);
  if (kind !== 1) return bytes;
  // Cut off, or with bytes flipped.
  const cut = bytes.slice(0, 1 + (random.nextUint32() % bytes.length));
  for (let i = random.nextUint32() % 4; i > 0; i--) cut[random.nextUint32() % cut.length] = random.nextUint32() & 255;
  return cut;
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.nextUint32() % list.length];
}

/** A question that would be answered. */
function question(random: Random): Json {
  const content: Json = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: PIXEL } },
    { type: "video_url", video_url: { url: PIXEL, frames: 2, fps: 0 } },
  ];
  const messages: Json = [{ role: "user", content: pick<Json>(["Hello", content, [content[0], content[1]]], random) }];
  if (random.nextUint32() % 3 === 0) messages.unshift({ role: "system", content: "Be brief." });
  const options: Json = {
    temperature: 1,
    top_p: 0.9,
    seed: 3,
    stop: ["x"],
    n: 2,
    logprobs: true,
    top_logprobs: 2,
    presence_penalty: 0.5,
    frequency_penalty: -0.5,
    stream_options: { include_usage: true },
    nvila: { progress: true, max_tiles: 2, top_k: 5, min_p: 0.1, repetition_penalty: 1.1 },
    response_format: { type: "text" },
  };
  const given = Object.entries(options).filter(() => random.nextUint32() % 3 === 0);
  return { messages, max_tokens: 2, stream: random.nextUint32() % 2 === 0, ...Object.fromEntries(given) };
}

/** Puts something else, or nothing, into `times` places. */
function mutate(value: Json, random: Random, times: number): Json {
  let result = value;
  for (let i = 0; i < times; i++) result = mutateOnce(result, random);
  return result;
}

function mutateOnce(value: Json, random: Random): Json {
  if (typeof value !== "object" || value === null || random.nextUint32() % 5 === 0) return anything(random, 0);
  if (Array.isArray(value)) {
    if (value.length === 0) return [anything(random, 0)];
    const at = random.nextUint32() % value.length;
    return value.map((item, i) => (i === at ? mutateOnce(item, random) : item));
  }
  const keys = Object.keys(value);
  const what = random.nextUint32() % 4;
  if (keys.length === 0 || what === 0) return { ...value, [pick(FIELDS, random)]: anything(random, 0) };
  const key = pick(keys, random);
  if (what === 1) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
  return { ...value, [key]: mutateOnce(value[key], random) };
}

function anything(random: Random, depth: number): Json {
  const kind = random.nextUint32() % (depth > 4 ? 5 : 8);
  switch (kind) {
    case 0:
      return null;
    case 1:
      return random.nextUint32() % 2 === 0;
    case 2:
    case 3:
      return pick(NUMBERS, random);
    case 4:
      return pick(TEXTS, random);
    case 5:
    case 6: {
      const list: Json[] = [];
      for (let i = random.nextUint32() % 4; i > 0; i--) list.push(anything(random, depth + 1));
      return list;
    }
    default: {
      const entries: [string, Json][] = [];
      for (let i = random.nextUint32() % 4; i > 0; i--)
        entries.push([pick(FIELDS, random), anything(random, depth + 1)]);
      return Object.fromEntries(entries);
    }
  }
}
