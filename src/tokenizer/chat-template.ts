/**
 * Chat templates: Jinja texts that turn messages into one prompt string, rendered as `apply_chat_template` of transformers does
 * (trim_blocks, lstrip_blocks). Knows no ids.
 */
import { Template } from "@huggingface/jinja";
import { ConfigError, messageOf, RequestError } from "../util/errors.ts";
import type { ChatMessage } from "./chat-message.ts";
import { knowsTools, type TemplateTool, withToolsAsText } from "./tool-prompt.ts";

export interface ChatTemplateOptions {
  /** Ends the prompt with the start of the assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** Functions that the model may call. A template that knows none gets them, calls and responses as text. */
  readonly tools?: readonly TemplateTool[];
  /** Further variables of the template. */
  readonly [variable: string]: unknown;
}

export class ChatTemplate {
  readonly #source: string | null;
  readonly #variables: Readonly<Record<string, string>>;
  #parsed: Template | null = null;

  /** @param variables bos_token and the like. */
  constructor(source: string | null, variables: Readonly<Record<string, string>>) {
    this.#source = source;
    this.#variables = variables;
  }

  /**
   * @throws ConfigError when there is no template or it is not Jinja.
   * @throws RequestError when the template refuses these messages.
   */
  render(messages: readonly ChatMessage[], options: ChatTemplateOptions): string {
    const { addGenerationPrompt, tools = [], ...extra } = options;
    const template = this.#template();
    const hasTools = tools.length > 0 || messages.some(({ role, tool_calls: calls }) => role === "tool" || calls);
    const isNative = !hasTools || knowsTools(this.#source ?? "");
    const given = isNative ? messages : withToolsAsText(messages, tools, () => this.#defaultSystem());
    const variables = { ...this.#variables, ...extra, ...(isNative && tools.length > 0 ? { tools } : {}) };
    try {
      return template.render({ ...variables, messages: given, add_generation_prompt: addGenerationPrompt });
    } catch (error) {
      throw new RequestError("chat_template", `the template refused the messages: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** What the template puts in front of a conversation without a system message, where it does so in Qwen2's form. */
  #defaultSystem(): string {
    const prompt = this.render([{ role: "user", content: "question" }], { addGenerationPrompt: false });
    return /^<\|im_start\|>system\n([\s\S]*?)<\|im_end\|>/.exec(prompt)?.[1] ?? "";
  }

  #template(): Template {
    if (this.#parsed) return this.#parsed;
    if (this.#source === null) {
      throw new ConfigError(
        "chat_template",
        "expected a chat_template in tokenizer_config.json or chat_template.jinja, got none",
      );
    }
    try {
      this.#parsed = new Template(this.#source);
    } catch (error) {
      throw new ConfigError("chat_template", `the template is not valid Jinja: ${messageOf(error)}`, { cause: error });
    }
    return this.#parsed;
  }
}
