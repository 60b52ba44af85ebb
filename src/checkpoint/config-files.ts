/**
 * The configuration files of a checkpoint as parsed JSON, and which layout of NVILA checkpoints they describe. Looks only at what tells
 * layouts apart; values are read in models/nvila/config.ts. Knows no file system.
 */
import { ConfigError, UnsupportedError } from "../util/errors.ts";

/** Parsed JSON of each part, in the form of the native layout whatever the layout is. */
export interface NvilaConfigFiles {
  readonly root: unknown;
  readonly llm: unknown;
  readonly vision: unknown;
  readonly projector: unknown;
  readonly preprocessor: unknown;
}

/**
 * native: a folder per part, as the original's training writes them. remote-code: the same folders and Python files beside a patched
 * config.json. hf: one flat set of tensors with prefixes.
 */
export type CheckpointLayout = "native" | "remote-code" | "hf";

export type Json = Readonly<Record<string, unknown>>;

/**
 * @param label Path of config.json, for messages.
 * @throws ConfigError when it is not a vision-language model of this family; UnsupportedError for a relative that is not NVILA.
 */
export function layoutOf(root: unknown, label = "config.json"): CheckpointLayout {
  if (!isJsonObject(root)) throw new ConfigError("config", `expected an object in ${label}, got ${shortJson(root)}`);
  const architectures = textsOf(root.architectures);
  const modelType = typeof root.model_type === "string" ? root.model_type : "";
  const kinds = [...architectures, modelType].map((kind) => kind.toLowerCase());
  const isAny = (pattern: RegExp): boolean => kinds.some((kind) => pattern.test(kind));
  if (isAny(/topdown/) || isTruthy(root.ps3)) {
    throw new UnsupportedError(
      "config",
      `${label} describes a PS3 / VILA-HD model (${described(architectures, modelType)}); supported are NVILA, NVILA-Lite and NVILA-Video`,
    );
  }
  if (root.llm_cfg === undefined && (isJsonObject(root.text_config) || isJsonObject(root.vision_config))) {
    if (isAny(/nvila/)) return "hf";
  } else {
    if (isAny(/^vila/)) return "remote-code";
    if (isAny(/llava/)) return "native";
  }
  throw new ConfigError(
    "config",
    `${label} is not of an NVILA model: expected architecture LlavaLlamaModel, VILAForCausalLM or NVILA…ForConditionalGeneration, got ${described(architectures, modelType)}`,
  );
}

export function isJsonObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The strings of a list; a lone string counts as a list of one. */
export function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === "string");
}

/** For messages. */
export function shortJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function described(architectures: readonly string[], modelType: string): string {
  return `architectures ${shortJson(architectures)}, model_type ${shortJson(modelType)}`;
}

/** Python's truth of a JSON value: what the original asks flags with. */
function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isJsonObject(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}
