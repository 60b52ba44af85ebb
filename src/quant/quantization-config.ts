/**
 * Which packed format a checkpoint is in: from `quantization_config` of its config.json, from quant_config.json or quantize_config.json
 * of older tools, or, where none of them is there, from the names and shapes of its tensors. Strict: a method, width or strategy that is
 * not read is refused by name before any tensor is touched. Knows no files.
 */
import { isJsonObject, type Json, shortJson } from "../checkpoint/config-files.ts";
import type { TensorSource } from "../checkpoint/weights.ts";
import { ConfigError, UnsupportedError } from "../util/errors.ts";
import { type AutoAwqVersion, autoAwqFormat } from "./autoawq.ts";
import { type CompressedWeights, intQuantizedFormat, packQuantizedFormat } from "./compressed-tensors.ts";
import { gptqFormat } from "./gptq.ts";
import { llmAwqFormat } from "./llm-awq.ts";
import type { PackedFormat } from "./packed-parts.ts";

const WAY_OUT =
  "Read are AWQ and GPTQ of 4 bits and compressed-tensors of 4 or 8 bits. You can quantise the unquantised model with `nvila quantize`";

/** Parsed JSON files of one part of a checkpoint that may tell its format. */
export interface QuantizationFiles {
  /** config.json; its key quantization_config counts. */
  readonly config: unknown;
  /** quant_config.json or quantize_config.json, where there is one. */
  readonly quantConfig?: unknown;
}

/**
 * The formats that tensors may be in; null when nothing is announced.
 * @throws ConfigError when the description is damaged; UnsupportedError when it is of something that is not read.
 */
export function announcedFormats(files: QuantizationFiles, label: string): readonly PackedFormat[] | null {
  const { config, quantConfig } = files;
  const inConfig = isJsonObject(config) ? (config.quantization_config ?? config.compression_config) : undefined;
  const found = inConfig ?? quantConfig;
  if (found === undefined || found === null) return null;
  if (!isJsonObject(found)) {
    throw new ConfigError("quantized", `expected an object quantization_config in ${label}, got ${shortJson(found)}`);
  }
  const method = typeof found.quant_method === "string" ? found.quant_method.toLowerCase() : methodOfOldFile(found);
  switch (method) {
    case "awq":
      return [awqFormat(found, label)];
    case "gptq":
      return [gptqFormatOf(found, label)];
    case "compressed-tensors":
      return compressedFormats(found, label);
    default:
      throw unsupported(label, "quant_method", found.quant_method ?? found);
  }
}

/** quant_config.json of llm-awq and AutoAWQ has w_bit; quantize_config.json of AutoGPTQ has desc_act. */
function methodOfOldFile(file: Json): string {
  if (file.w_bit !== undefined || file.q_group_size !== undefined) return "awq";
  return file.bits !== undefined && file.desc_act !== undefined ? "gptq" : "";
}

function awqFormat(file: Json, label: string): PackedFormat {
  expectBits(file.bits ?? file.w_bit, 4, label);
  const groupSize = readGroupSize(file.group_size ?? file.q_group_size, label);
  if (file.zero_point === false) throw unsupported(label, "zero_point", false);
  const version = typeof file.version === "string" ? file.version.toLowerCase() : "gemm";
  if (version !== "gemm" && version !== "gemv" && version !== "gemv_fast") {
    throw unsupported(label, "version", file.version);
  }
  return autoAwqFormat({ version: version satisfies AutoAwqVersion, groupSize });
}

function gptqFormatOf(file: Json, label: string): PackedFormat {
  expectBits(file.bits, 4, label);
  const groupSize = readGroupSize(file.group_size, label);
  const format = file.checkpoint_format ?? "gptq";
  if ((format !== "gptq" && format !== "gptq_v2") || file.is_marlin_format === true) {
    throw unsupported(label, "checkpoint_format", file.is_marlin_format === true ? "marlin" : format);
  }
  return gptqFormat({ groupSize, zeroOffset: format === "gptq" ? 1 : 0 });
}

function compressedFormats(file: Json, label: string): readonly PackedFormat[] {
  const { config_groups: groups, format, kv_cache_scheme: kvCache, sparsity_config: sparsity } = file;
  if (kvCache !== undefined && kvCache !== null) throw unsupported(label, "kv_cache_scheme", kvCache);
  if (isJsonObject(sparsity) && sparsity.format !== "dense") throw unsupported(label, "sparsity_config", sparsity);
  if (!isJsonObject(groups) || Object.keys(groups).length === 0) {
    throw new ConfigError("quantized", `expected config_groups in ${label}, got ${shortJson(groups)}`);
  }
  const packed: CompressedWeights[] = [];
  const plain: CompressedWeights[] = [];
  for (const [name, group] of Object.entries(groups)) {
    const where = `${label} config_groups.${name}`;
    if (!isJsonObject(group))
      throw new ConfigError("quantized", `expected an object ${where}, got ${shortJson(group)}`);
    const groupFormat = group.format ?? format;
    const weights = compressedWeights(group, where);
    if (groupFormat === "pack-quantized" && weights.bits === 4) packed.push(weights);
    else if ((groupFormat === "int-quantized" || groupFormat === "naive-quantized") && weights.bits === 8)
      plain.push(weights);
    else throw unsupported(where, `format of ${weights.bits}-bit weights`, groupFormat);
  }
  return [
    ...(packed.length > 0 ? [packQuantizedFormat(packed)] : []),
    ...(plain.length > 0 ? [intQuantizedFormat(plain)] : []),
  ];
}

function compressedWeights(group: Json, label: string): CompressedWeights {
  const { weights, input_activations: inputs, output_activations: outputs } = group;
  if (!isJsonObject(weights))
    throw new ConfigError("quantized", `expected weights in ${label}, got ${shortJson(weights)}`);
  const { num_bits: bits, type = "int", strategy, group_size: groupSize, symmetric, dynamic } = weights;
  if (type !== "int") throw unsupported(label, "weights.type", type);
  if (bits !== 4 && bits !== 8) throw unsupported(label, "weights.num_bits", bits);
  if (dynamic === true) throw unsupported(label, "weights.dynamic", dynamic);
  if (typeof symmetric !== "boolean") {
    throw new ConfigError(
      "quantized",
      `expected true or false in ${label} weights.symmetric, got ${shortJson(symmetric)}`,
    );
  }
  if (outputs !== undefined && outputs !== null) throw unsupported(label, "output_activations", outputs);
  if (inputs !== undefined && inputs !== null) expectDynamicInputs(inputs, label);
  const isGrouped = strategy === "group" || (strategy === undefined && typeof groupSize === "number" && groupSize > 0);
  if (!isGrouped && !["channel", "tensor", undefined, null].includes(strategy as string)) {
    throw unsupported(label, "weights.strategy", strategy);
  }
  if (bits === 8 && (isGrouped || !symmetric)) throw unsupported(label, "8-bit weights", weights);
  return { bits, groupSize: isGrouped ? readGroupSize(groupSize, label) : null, isSymmetric: symmetric };
}

/** Activations of an int8 weight are quantised per token here, whatever their own group says; static scales would be ignored. */
function expectDynamicInputs(inputs: unknown, label: string): void {
  if (!isJsonObject(inputs) || inputs.num_bits !== 8 || (inputs.type ?? "int") !== "int" || inputs.dynamic !== true) {
    throw unsupported(label, "input_activations", inputs);
  }
  if (inputs.symmetric === false) throw unsupported(label, "input_activations.symmetric", false);
}

function expectBits(bits: unknown, wanted: number, label: string): void {
  if (bits !== wanted) throw unsupported(label, "bits", bits);
}

function readGroupSize(value: unknown, label: string): number {
  if (Number.isSafeInteger(value) && ((value as number) > 0 || value === -1)) return value as number;
  throw new ConfigError("quantized", `expected a positive group size or −1 in ${label}, got ${shortJson(value)}`);
}

function unsupported(label: string, field: string, got: unknown): UnsupportedError {
  return new UnsupportedError("quantized", `${label}: ${field} ${shortJson(got)} is not read. ${WAY_OUT}`);
}

/**
 * The format that names and shapes tell, for files that come without a description, such as llm-awq's `.pt`. GPTQ is taken as v1, and
 * groups of AutoAWQ and GPTQ from the scales.
 *
 * @param packed Name of a tensor that looks packed, for messages.
 * @throws UnsupportedError when they tell none.
 */
export function guessedFormats(source: TensorSource, packed: string): readonly PackedFormat[] {
  const ofCompressed = source.names.find((candidate) => candidate.endsWith(".weight_packed"));
  if (ofCompressed !== undefined) {
    throw new UnsupportedError(
      "quantized",
      `"${ofCompressed}" in ${source.label} is of compressed-tensors, whose quantization_config in config.json is missing`,
    );
  }
  const name = source.names.find((candidate) => candidate.endsWith(".qweight")) ?? packed;
  const layer = name.slice(0, name.lastIndexOf("."));
  const info = (part: string) => source.info(`${layer}.${part}`);
  const [qweight, scales] = [info("qweight"), info("scales")];
  if (qweight && info("scaled_zeros")) return [llmAwqFormat("v2", null)];
  if (qweight?.shape.length === 2 && scales?.shape.length === 2) {
    const [rows, columns] = qweight.shape;
    const [scaleRows, scaleColumns] = scales.shape;
    if (qweight.dtype === "i16") return [autoAwqFormat({ version: "gemv_fast", groupSize: null })];
    if (scaleRows === rows) return [llmAwqFormat("v1", null)];
    if (scaleColumns === columns * 8 && rows % scaleRows === 0) {
      return [autoAwqFormat({ version: "gemm", groupSize: rows / scaleRows })];
    }
    if (scaleColumns === columns && (rows * 8) % scaleRows === 0) {
      return [gptqFormat({ groupSize: (rows * 8) / scaleRows, zeroOffset: 1 })];
    }
  }
  throw new UnsupportedError(
    "quantized",
    `"${name}" in ${source.label} is packed in a way that is not known, and no quantization_config tells which. ${WAY_OUT}`,
  );
}
