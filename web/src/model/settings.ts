/** What the settings drawer holds, and its rules. An empty field means the server's default and is not sent. */

export interface Settings {
  readonly temperature: string;
  readonly topP: string;
  readonly maxTokens: string;
  readonly seed: string;
  readonly frames: string;
  readonly tiles: string;
  readonly system: string;
  readonly isJsonSchemaOn: boolean;
  readonly jsonSchema: string;
}

export const EXAMPLE_SCHEMA = `{
  "type": "object",
  "properties": {
    "objects": { "type": "array", "items": { "type": "string" } },
    "count": { "type": "integer" }
  },
  "required": ["objects", "count"]
}`;

export const DEFAULT_SETTINGS: Settings = {
  temperature: "",
  topP: "",
  maxTokens: "",
  seed: "",
  frames: "",
  tiles: "",
  system: "",
  isJsonSchemaOn: false,
  jsonSchema: EXAMPLE_SCHEMA,
};

interface NumberRule {
  readonly minimum: number;
  readonly maximum: number;
  readonly isInteger: boolean;
}

export const NUMBER_RULES = {
  temperature: { minimum: 0, maximum: 2, isInteger: false },
  topP: { minimum: 0.001, maximum: 1, isInteger: false },
  maxTokens: { minimum: 1, maximum: 32768, isInteger: true },
  seed: { minimum: 0, maximum: 2 ** 32 - 1, isInteger: true },
  frames: { minimum: 1, maximum: 256, isInteger: true },
  tiles: { minimum: 1, maximum: 4096, isInteger: true },
} as const satisfies Partial<Record<keyof Settings, NumberRule>>;

export type NumberField = keyof typeof NUMBER_RULES;
export type SettingsProblems = Partial<Record<keyof Settings, string>>;

/** What is wrong with each field, in words; empty when all can be sent. */
export function problemsOf(settings: Settings): SettingsProblems {
  const problems: SettingsProblems = {};
  for (const field of Object.keys(NUMBER_RULES) as NumberField[]) {
    const rule = NUMBER_RULES[field];
    const text = settings[field].trim();
    if (text === "") continue;
    const value = Number(text);
    const isInside = value >= rule.minimum && value <= rule.maximum && (!rule.isInteger || Number.isInteger(value));
    if (!isInside) {
      problems[field] = `A ${rule.isInteger ? "whole number" : "number"} from ${rule.minimum} to ${rule.maximum}.`;
    }
  }
  if (settings.isJsonSchemaOn) {
    const problem = schemaProblem(settings.jsonSchema);
    if (problem) problems.jsonSchema = problem;
  }
  return problems;
}

function schemaProblem(text: string): string | null {
  try {
    const schema: unknown = JSON.parse(text);
    if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
      return "A JSON schema is an object, { … }.";
    }
    return null;
  } catch (error) {
    return `Not JSON: ${(error as Error).message}`;
  }
}

/** The number behind a field; null when it is empty. Call it after `problemsOf`. */
export function numberOf(settings: Settings, field: NumberField): number | null {
  const text = settings[field].trim();
  return text === "" ? null : Number(text);
}

/** Stored settings, whatever an older page wrote: fields of the wrong type fall back to the default. */
export function parseSettings(json: string | null): Settings {
  let stored: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(json ?? "{}");
    if (typeof value === "object" && value !== null) stored = value as Record<string, unknown>;
  } catch {
    // Settings that cannot be read are forgotten; there is nobody to tell before the page stands.
  }
  const entries = Object.entries(DEFAULT_SETTINGS).map(([key, fallback]) => [
    key,
    typeof stored[key] === typeof fallback ? stored[key] : fallback,
  ]);
  return Object.fromEntries(entries) as Settings;
}
