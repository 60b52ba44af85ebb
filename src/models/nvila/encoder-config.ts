/**
 * `image_encoder` and `video_encoder` of config.json: a class to make and its arguments, as an object or as JSON text. Only the last part
 * of the class name counts, because checkpoints name the modules of several versions of the original.
 */
import { z } from "zod";
import { ConfigError, messageOf, UnsupportedError } from "../../util/errors.ts";
import { parseFields, textField } from "./config-fields.ts";
import type { PoolSize } from "./media-encoders.ts";

/** Texts whose embeddings stand around features; null: none. */
export interface ImageEncoderConfig {
  readonly startTokens: string | null;
  readonly endTokens: string | null;
}

export interface VideoEncoderConfig extends ImageEncoderConfig {
  readonly kind: "basic" | "tsp";
  /** Pooling over time and space only. */
  readonly sepTokens: string | null;
  readonly poolSizes: readonly PoolSize[];
}

const target = { _target_: textField.optional() };
/** The original's default for `end_tokens` when the key is absent; null means none. */
const around = {
  start_tokens: textField.nullable().default(null),
  end_tokens: textField.nullable().default("\n"),
};
const windowField = z.int().min(1).max(65_536);

const basicSchema = z.strictObject({ ...target, ...around });
const tspSchema = z.strictObject({
  ...target,
  ...around,
  sep_tokens: textField.nullable().default(null),
  pool_sizes: z
    .array(z.tuple([windowField, windowField, windowField]))
    .min(1)
    .max(64),
});

/** JSON text longer than this is no encoder. */
const MAX_TEXT = 16_384;

/** @throws ConfigError for wrong arguments; UnsupportedError for another class. */
export function parseImageEncoder(value: unknown, label: string): ImageEncoderConfig {
  const { json, name } = readEncoder(value, "image_encoder", label, ["BasicImageEncoder"]);
  const { start_tokens, end_tokens } = parseFields(basicSchema, json, `${name} of image_encoder in ${label}`);
  return { startTokens: start_tokens, endTokens: end_tokens };
}

/** @throws ConfigError for wrong arguments; UnsupportedError for another class. */
export function parseVideoEncoder(value: unknown, label: string): VideoEncoderConfig {
  const known = ["BasicVideoEncoder", "TSPVideoEncoder"];
  const { json, name } = readEncoder(value, "video_encoder", label, known);
  const where = `${name} of video_encoder in ${label}`;
  if (name === "BasicVideoEncoder") {
    const { start_tokens, end_tokens } = parseFields(basicSchema, json, where);
    return { kind: "basic", startTokens: start_tokens, endTokens: end_tokens, sepTokens: null, poolSizes: [] };
  }
  const config = parseFields(tspSchema, json, where);
  return {
    kind: "tsp",
    startTokens: config.start_tokens,
    endTokens: config.end_tokens,
    sepTokens: config.sep_tokens,
    poolSizes: config.pool_sizes,
  };
}

/** The object and the last part of its class name; absent values mean the first of `known`. */
function readEncoder(
  value: unknown,
  field: string,
  label: string,
  known: readonly string[],
): { json: unknown; name: string } {
  const json = typeof value === "string" ? parseText(value, field, label) : (value ?? {});
  const { _target_: path = known[0] } = parseFields(z.object(target), json, `${field} in ${label}`);
  const name = path.split(".").at(-1) ?? "";
  if (known.includes(name)) return { json, name };
  throw new UnsupportedError("config", `expected ${field} in ${label} to be ${known.join(" or ")}, got "${path}"`);
}

function parseText(text: string, field: string, label: string): unknown {
  if (text.length > MAX_TEXT) {
    throw new ConfigError("config", `expected ${field} in ${label} to be short, got ${text.length} characters`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError("config", `${field} in ${label} is no valid JSON: ${messageOf(error)}`, { cause: error });
  }
}
