/** JSON files of a checkpoint. Messages name the file and, where the parser tells it, the place. */
import { readFileSync, statSync } from "node:fs";
import { ConfigError, messageOf, NvilaError } from "../util/errors.ts";
import { countJsonKeys } from "../util/json-depth.ts";

/** Configurations have a few kilobytes, tokenizers some 20 MB. Far above, and far below what a parser would choke on. */
const MAX_JSON_BYTES = 96 * 1024 * 1024;
const MAX_DEPTH = 64;

/**
 * @param parse Makes the values; throws SyntaxError for what is no JSON. Default: JSON.parse.
 * @throws ConfigError when there is no such file, or it is no JSON.
 */
export function readJsonFile(path: string, parse: (text: string) => unknown = JSON.parse): unknown {
  const bytes = readBytes(path);
  if (countJsonKeys(bytes, MAX_DEPTH) === null) {
    throw new ConfigError("checkpoint", `${path} nests deeper than ${MAX_DEPTH} levels`);
  }
  try {
    return parse(decode(bytes, path));
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    throw new ConfigError("checkpoint", `${path} is no valid JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws ConfigError when there is no such file, or it is no UTF-8. A byte order mark is dropped. */
export function readTextFile(path: string): string {
  return decode(readBytes(path), path);
}

function readBytes(path: string): Uint8Array {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) throw new ConfigError("checkpoint", `expected a file at ${path}, got a folder or device`);
    if (stats.size > MAX_JSON_BYTES) {
      throw new ConfigError("checkpoint", `${path} has ${stats.size} bytes, expected at most ${MAX_JSON_BYTES}`);
    }
    return readFileSync(path);
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    throw new ConfigError("checkpoint", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ConfigError("checkpoint", `${path} is not UTF-8 text`, { cause: error });
  }
}
