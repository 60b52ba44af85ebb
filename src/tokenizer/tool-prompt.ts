/**
 * Tools in prompts. Qwen2.5's chat template knows them; for templates that do not (NVILA's own), conversations are rewritten to plain
 * messages so that the same text comes out: the list in the system message, calls in the assistant's text, responses as the user's.
 */
import { Template } from "@huggingface/jinja";
import type { ChatMessage } from "./chat-message.ts";

/** A function that the model may call, as templates take it. */
export interface TemplateTool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description?: string; readonly parameters: unknown };
}

/** A call in an assistant's message, as templates take it. */
export interface TemplateToolCall {
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: unknown };
}

/** Around the JSON of a call in the model's text. */
export const TOOL_CALL_BEGIN = "<tool_call>";
export const TOOL_CALL_END = "</tool_call>";

/** JSON as the template filter writes it: Python's spacing. */
const JSON_TEMPLATE = new Template("{{ value | tojson }}");

/** True when a template renders tools itself. */
export function knowsTools(template: string): boolean {
  return /\btools\b/.test(template);
}

/**
 * The same conversation for a template that knows no tools.
 *
 * @param defaultSystem The system message that the template gives a conversation without one.
 */
export function withToolsAsText(
  messages: readonly ChatMessage[],
  tools: readonly TemplateTool[],
  defaultSystem: () => string,
): ChatMessage[] {
  const plain: { role: string; content: string | null }[] = [];
  for (const [i, { role, content, tool_calls: calls }] of messages.entries()) {
    if (role === "tool") {
      const response = `<tool_response>\n${content ?? ""}\n</tool_response>`;
      const last = plain.at(-1);
      if (last && messages[i - 1]?.role === "tool") last.content = `${last.content}\n${response}`;
      else plain.push({ role: "user", content: response });
    } else if (Array.isArray(calls) && calls.length > 0) {
      const texts = (calls as readonly TemplateToolCall[]).map(callText);
      plain.push({ role, content: [...(content ? [content] : []), ...texts].join("\n") });
    } else plain.push({ role, content });
  }
  if (tools.length === 0) return plain;
  const [first] = plain;
  const system = first?.role === "system" ? (first.content ?? "") : defaultSystem();
  const rest = first?.role === "system" ? plain.slice(1) : plain;
  return [{ role: "system", content: system + toolsText(tools) }, ...rest];
}

function callText({ function: { name, arguments: args } }: TemplateToolCall): string {
  return `${TOOL_CALL_BEGIN}\n{"name": "${name}", "arguments": ${json(args)}}\n${TOOL_CALL_END}`;
}

/** KEEPS: the words of Qwen2.5's template, which models were trained on. */
function toolsText(tools: readonly TemplateTool[]): string {
  const list = tools.map((tool) => `\n${json(tool)}`).join("");
  return (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n" +
    `You are provided with function signatures within <tools></tools> XML tags:\n<tools>${list}\n</tools>\n\n` +
    `For each function call, return a json object with function name and arguments within ${TOOL_CALL_BEGIN}${TOOL_CALL_END} XML tags:\n` +
    `${TOOL_CALL_BEGIN}\n{"name": <function-name>, "arguments": <args-json-object>}\n${TOOL_CALL_END}`
  );
}

function json(value: unknown): string {
  return JSON_TEMPLATE.render({ value });
}
