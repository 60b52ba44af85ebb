/**
 * Chat templates: Jinja texts that turn messages into one prompt string, rendered as `apply_chat_template` of transformers does
 * (trim_blocks, lstrip_blocks). Knows no ids.
 */
import { Template } from "@huggingface/jinja";
import { ConfigError, messageOf, RequestError } from "../util/errors.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  /** Whatever else the template reads, such as tool_calls. */
  readonly [field: string]: unknown;
}

export interface ChatTemplateOptions {
  /** Ends the prompt with the start of the assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** Further variables of the template, such as `tools`. */
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
    const { addGenerationPrompt, ...extra } = options;
    const template = this.#template();
    try {
      return template.render({ ...this.#variables, ...extra, messages, add_generation_prompt: addGenerationPrompt });
    } catch (error) {
      throw new RequestError("chat_template", `the template refused the messages: ${messageOf(error)}`, {
        cause: error,
      });
    }
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
