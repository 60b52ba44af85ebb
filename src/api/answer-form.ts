/** The form of an answer: text, JSON or calls of tools, from the options of `generate` to what prompt and engine take. */
import type { ConstraintSpec, ToolSpec } from "../engine/token-constraint.ts";
import { checkConstraint } from "../grammar/answer-constraint.ts";
import type { TemplateTool } from "../tokenizer/tool-prompt.ts";
import { RequestError } from "../util/errors.ts";

/** Any text, any JSON object, or JSON that validates. */
export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | { readonly type: "json_schema"; readonly schema: object | boolean };

/** A function that the model may call. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments, an object. Default: no arguments. */
  readonly parameters?: object;
}

/** Whether the model calls tools: as it likes, never, at least once, or this one. */
export type ToolChoice = "auto" | "none" | "required" | { readonly name: string };

/** What is asked of an answer. */
export interface AnswerForm {
  /** What it must look like; null: anything. */
  readonly constraint: ConstraintSpec | null;
  /** Tools that the prompt names and whose calls are taken out of the text. */
  readonly tools: readonly TemplateTool[];
}

const NO_ARGUMENTS = { type: "object", properties: {}, additionalProperties: false };

/** @throws RequestError when options are malformed, or ask for what cannot be guaranteed or satisfied. */
export function checkAnswerForm(options: {
  readonly responseFormat?: ResponseFormat;
  readonly tools?: readonly Tool[];
  readonly toolChoice?: ToolChoice;
}): AnswerForm {
  const { responseFormat = { type: "text" }, tools = [], toolChoice = "auto" } = options;
  const form = formatConstraint(responseFormat);
  const constraint = toolConstraint(checkTools(tools), toolChoice, form);
  if (constraint) checkConstraint(constraint);
  const isUsed = toolChoice !== "none";
  return { constraint, tools: isUsed ? tools.map(templateTool) : [] };
}

function formatConstraint(responseFormat: ResponseFormat): ConstraintSpec | null {
  switch (responseFormat.type) {
    case "text":
      return null;
    case "json_object":
      return { kind: "json_object" };
    case "json_schema":
      return { kind: "json_schema", schema: responseFormat.schema };
    default: {
      responseFormat satisfies never;
      const got = JSON.stringify(responseFormat);
      throw new RequestError(
        "generate",
        `expected a responseFormat of type text, json_object or json_schema, got ${got}`,
      );
    }
  }
}

/** A free text may hold calls as it likes; a call that must come, or may come instead of JSON, is held to its schema. */
function toolConstraint(
  tools: readonly ToolSpec[],
  choice: ToolChoice,
  otherwise: ConstraintSpec | null,
): ConstraintSpec | null {
  if (choice === "none") return otherwise;
  if (choice === "auto") {
    return tools.length > 0 && otherwise ? { kind: "tool_calls", tools, isSingle: false, otherwise } : otherwise;
  }
  if (choice === "required") {
    if (tools.length === 0) throw new RequestError("generate", 'expected tools with toolChoice "required", got none');
    return { kind: "tool_calls", tools, isSingle: false, otherwise: null };
  }
  const named =
    typeof choice === "object" && choice !== null ? tools.find(({ name }) => name === choice.name) : undefined;
  if (named === undefined) {
    throw new RequestError(
      "generate",
      `expected toolChoice to be "auto", "none", "required" or {name} of a tool, got ${JSON.stringify(choice)}`,
    );
  }
  return { kind: "tool_calls", tools: [named], isSingle: true, otherwise: null };
}

function checkTools(tools: readonly Tool[]): readonly ToolSpec[] {
  if (!Array.isArray(tools)) throw new RequestError("generate", `expected a list of tools, got ${typeof tools}`);
  const names = new Set<string>();
  return tools.map(({ name, description, parameters = NO_ARGUMENTS }: Tool) => {
    if (typeof name !== "string" || name === "" || names.has(name)) {
      throw new RequestError("generate", `expected each tool to have a name of its own, got ${JSON.stringify(name)}`);
    }
    if (
      typeof parameters !== "object" ||
      parameters === null ||
      !["string", "undefined"].includes(typeof description)
    ) {
      throw new RequestError(
        "generate",
        `expected a text as description and a schema as parameters of the tool "${name}"`,
      );
    }
    names.add(name);
    return { name, parameters };
  });
}

function templateTool({ name, description, parameters = NO_ARGUMENTS }: Tool): TemplateTool {
  const about = description === undefined ? {} : { description };
  return { type: "function", function: { name, ...about, parameters } };
}
