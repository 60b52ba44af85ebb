/**
 * The files around the weights of one part that tell how they are packed, and the part's tensors as if they were not. The formats
 * themselves are in quant/.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject } from "../checkpoint/config-files.ts";
import type { StoredTensors } from "../checkpoint/stored-tensors.ts";
import { unpackedSource } from "../quant/packed-source.ts";
import { readJsonFile } from "./json-file.ts";

/** Beside config.json in repositories of older tools: llm-awq and AutoAWQ, AutoGPTQ. */
const OLD_FILES = ["quant_config.json", "quantize_config.json"];

/**
 * @param configs Parsed config.json of the part, then of the whole model: the first one with a description counts.
 * @throws ConfigError, WeightsError and UnsupportedError as `unpackedSource` does.
 */
export function unpackedPart(
  tensors: StoredTensors,
  folder: string,
  configs: readonly unknown[],
  onWarning: (message: string) => void,
): StoredTensors {
  const config = configs.find((value) => isJsonObject(value) && isJsonObject(value.quantization_config)) ?? configs[0];
  const old = OLD_FILES.map((name) => join(folder, name)).find((path) => existsSync(path));
  return unpackedSource(tensors, {
    config,
    quantConfig: old === undefined ? undefined : readJsonFile(old),
    configLabel: join(folder, "config.json"),
    onWarning,
  });
}
