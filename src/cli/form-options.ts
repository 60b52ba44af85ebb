/** Command-line options for the form of an answer, and log-probabilities for people to read. */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import type { GenerateOptions } from "../api/generate-options.ts";
import type { TokenLogprob } from "../api/generation.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import { wholeNumber } from "./model-options.ts";

export interface FormOptions {
  readonly jsonObject?: boolean;
  readonly jsonSchema?: string;
  readonly logprobs?: number;
}

export function addFormOptions(command: Command): Command {
  return command
    .addOption(new Option("--json-object", "the answer is a JSON object").conflicts("jsonSchema"))
    .option("--json-schema <file>", "the answer is JSON that validates against the schema in this file")
    .option("--logprobs <n>", "how likely each token was, with n alternatives, 0..20", wholeNumber(0));
}

/** The options of `generate` that were given. @throws RequestError when the schema cannot be read. */
export function formOf({ jsonObject, jsonSchema, logprobs }: FormOptions): GenerateOptions {
  return {
    ...(jsonObject ? { responseFormat: { type: "json_object" } } : {}),
    ...(jsonSchema === undefined
      ? {}
      : { responseFormat: { type: "json_schema", schema: readSchema(jsonSchema) as object } }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

function readSchema(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new RequestError("ask", `expected a JSON schema in ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** A line for each token: its probability, itself, and the likeliest at its place. */
export function formatLogprobs(tokens: readonly TokenLogprob[]): string {
  const one = ({ text, logprob }: { text: string; logprob: number }): string =>
    `${(100 * Math.exp(logprob)).toFixed(1).padStart(5)} % ${JSON.stringify(text)}`;
  return tokens.map((token) => `${[token, ...token.top].map(one).join("  ")}\n`).join("");
}
