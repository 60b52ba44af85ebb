/**
 * The body of a question, checked: fields that we do not know are ignored, wrong ones are named. null means the same as an absent field, as
 * OpenAI's clients send it.
 */
import * as z from "zod";
import { RefusedError } from "./server-error.ts";
import type { ServerLimits } from "./server-options.ts";

const MAX_TOKENS = 2 ** 31;
const FRAMES_MAX = 100_000;

const sampling = {
  frames: z.int().min(1).max(FRAMES_MAX).nullish(),
  fps: z.number().min(0).max(1000).nullish(),
};
const url = z.string().min(1);
const textPart = z.object({ type: z.literal("text"), text: z.string() });
const part = z.discriminatedUnion("type", [
  textPart,
  z.object({ type: z.literal("image_url"), image_url: z.union([url, z.object({ url })]) }),
  z.object({ type: z.literal("video_url"), video_url: z.union([url, z.object({ url, ...sampling })]), ...sampling }),
  z.object({
    type: z.literal("input_video"),
    input_video: z.object({ data: z.string().nullish(), url: url.nullish(), ...sampling }),
    ...sampling,
  }),
]);
const text = z.union([z.string(), z.array(textPart)]);
const toolCall = z.object({
  id: z.string().max(200),
  type: z.literal("function").nullish(),
  function: z.object({ name: z.string().min(1).max(200), arguments: z.string() }),
});
const message = z.discriminatedUnion("role", [
  z.object({ role: z.literal("system"), content: text }),
  z.object({ role: z.literal("developer"), content: text }),
  z.object({ role: z.literal("user"), content: z.union([z.string(), z.array(part)]) }),
  z.object({ role: z.literal("assistant"), content: text.nullish(), tool_calls: z.array(toolCall).max(128).nullish() }),
  z.object({ role: z.literal("tool"), tool_call_id: z.string().max(200), content: text }),
]);
const jsonObject = z.record(z.string(), z.unknown());
const functionName = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, "expected 1 to 64 letters, digits, _, . or -");
const tool = z.object({
  type: z.literal("function"),
  function: z.object({ name: functionName, description: z.string().nullish(), parameters: jsonObject.nullish() }),
});
const toolChoice = z.union([
  z.enum(["auto", "none", "required"]),
  z.object({ type: z.literal("function"), function: z.object({ name: functionName }) }),
]);
const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({ name: z.string().nullish(), schema: jsonObject.or(z.boolean()) }),
  }),
]);
const extension = z.object({
  progress: z.boolean().nullish(),
  max_tiles: z.int().min(1).max(4096).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(100).nullish(),
});

const chatBody = z.object({
  model: z.string().nullish(),
  messages: z.array(message).min(1).max(4096),
  max_tokens: z.int().min(1).max(MAX_TOKENS).nullish(),
  max_completion_tokens: z.int().min(1).max(MAX_TOKENS).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  n: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  nvila: extension.nullish(),
});

export type ChatBody = z.infer<typeof chatBody>;
export type ChatBodyMessage = ChatBody["messages"][number];
export type ChatBodyPart = z.infer<typeof part>;

/** @throws RefusedError (400) that names the first wrong field. */
export function checkChatBody(body: Record<string, unknown>, limits: ServerLimits): ChatBody {
  const checked = chatBody.safeParse(body, { reportInput: true });
  if (!checked.success) {
    const issue = deepest(checked.error.issues);
    throw wrong(pathOf(issue.path), issue.message, issue.input);
  }
  const { data } = checked;
  const n = data.n ?? 1;
  if (n > limits.choices) throw wrong("n", `expected at most ${limits.choices}`, n);
  if (data.top_logprobs != null && data.logprobs !== true) {
    throw wrong("top_logprobs", "expected logprobs: true beside it", data.logprobs);
  }
  return data;
}

/** A 400 about one field. `got` is shown where it is short and plain. */
export function wrong(param: string, problem: string, got?: unknown): RefusedError {
  const isPlain = ["string", "number", "boolean"].includes(typeof got) || got === null;
  const shown = isPlain ? `, got ${JSON.stringify(got).slice(0, 60)}` : "";
  return new RefusedError(400, `${param}: ${problem}${shown}`, { param, apiCode: "invalid_value" });
}

type Issue = z.core.$ZodIssue;

/** Of a union's branches, the issue of the one that came furthest says most. */
function deepest(issues: readonly Issue[]): Issue {
  const [issue] = issues;
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .filter((branch) => branch.length > 0)
    .map((branch) => deepest(branch))
    .sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined || inner.path.length === 0 ? issue : { ...inner, path: [...issue.path, ...inner.path] };
}

function pathOf(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return text.replace(/^\./, "") || "body";
}
