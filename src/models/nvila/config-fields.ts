/** How the values of configuration files are checked: one voice for messages, bounds that keep damaged files from running wild. */
import { z } from "zod";
import { shortJson } from "../../checkpoint/config-files.ts";
import { ConfigError, UnsupportedError } from "../../util/errors.ts";

/** Layers, heads and widths beyond this are a damaged file: the largest language model of the family has width 8192. */
const MAX_COUNT = 2 ** 20;
const MAX_LAYERS = 4096;

/** A size of a layer. */
export const widthField = z.int().min(1).max(MAX_COUNT);
/** A number of layers or of things that are looped over. */
export const countField = z.int().min(1).max(MAX_LAYERS);
export const epsField = z.number().positive().max(1);
export const textField = z.string().max(10_000);

/**
 * The value that `schema` describes.
 *
 * @param label Path of the file, for messages.
 * @throws ConfigError naming every field that is wrong.
 */
export function parseFields<T>(schema: z.ZodType<T>, value: unknown, label: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 8).map((issue) => {
    const place = issue.path.map(String).join(".");
    return place === "" ? issue.message : `${place}: ${issue.message}, got ${shortJson(valueAt(value, issue.path))}`;
  });
  throw new ConfigError("config", `${label} is not valid: ${problems.join("; ")}`);
}

/** @throws UnsupportedError always: `field` has a value that this version does not run. */
export function unsupported(label: string, field: string, known: string, got: unknown): never {
  throw new UnsupportedError("config", `expected ${field} in ${label} to be ${known}, got ${shortJson(got)}`);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}
