/**
 * How quantised matrices are written: compressed-tensors (see compressed-tensors.ts for the tensors), with the `quantization_config`
 * that vLLM and this package read. int4 becomes pack-quantized with halves as scales, int8 becomes int-quantized with f32 scales.
 * Knows bytes and JSON, no files.
 */
import type { TensorToWrite } from "../checkpoint/safetensors-header.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import { assert } from "../util/assert.ts";
import { f32ToF16 } from "../util/half.ts";
import type { TensorPlan } from "./quantize-plan.ts";

/** Rows that share a word of zero points: blocks of rows must begin at multiples of it. */
export const ROWS_PER_ZERO_WORD = 8;

/** The tensors that stand for the matrix `name` (ends in `.weight`) of `shape`. */
export function compressedTensors(
  name: string,
  [M, C]: readonly [M: number, C: number],
  plan: TensorPlan,
): ReadonlyMap<string, TensorToWrite> {
  const layer = layerOf(name);
  if (plan.format === "int8") {
    return new Map<string, TensorToWrite>([
      [name, { storedDType: "I8", shape: [M, C], byteLength: M * C }],
      [`${layer}.weight_scale`, { storedDType: "F32", shape: [M, 1], byteLength: 4 * M }],
    ]);
  }
  const { groupSize, isSymmetric } = plan;
  assert(C % 8 === 0 && C % groupSize === 0, `${C} inputs in groups of ${groupSize}`);
  const G = C / groupSize;
  const zeroWords = Math.ceil(M / ROWS_PER_ZERO_WORD);
  return new Map<string, TensorToWrite>([
    [`${layer}.weight_packed`, { storedDType: "I32", shape: [M, C / 8], byteLength: (M * C) / 2 }],
    [`${layer}.weight_scale`, { storedDType: "F16", shape: [M, G], byteLength: 2 * M * G }],
    ...(isSymmetric
      ? []
      : ([
          [`${layer}.weight_zero_point`, { storedDType: "I32", shape: [zeroWords, G], byteLength: 4 * zeroWords * G }],
        ] as const)),
    [`${layer}.weight_shape`, { storedDType: "I64", shape: [2], byteLength: 16 }],
  ]);
}

/** Bytes of a part, and where they go within it. */
export interface PartBytes {
  readonly name: string;
  readonly byteOffset: number;
  readonly bytes: Uint8Array;
}

/** The bytes of rows [firstRow, firstRow + rows of `block`) of a matrix of `totalRows` rows. `firstRow` is a multiple of 8. */
export function compressedRows(
  name: string,
  block: QuantizedWeight,
  plan: TensorPlan,
  firstRow: number,
  totalRows: number,
): readonly PartBytes[] {
  const layer = layerOf(name);
  const [, C] = block.shape;
  if (block.format === "int8") {
    return [
      { name, byteOffset: firstRow * C, bytes: bytesOf(block.codes) },
      { name: `${layer}.weight_scale`, byteOffset: 4 * firstRow, bytes: bytesOf(block.scales) },
    ];
  }
  const G = C / block.groupSize;
  const parts: PartBytes[] = [
    { name: `${layer}.weight_packed`, byteOffset: (firstRow * C) / 2, bytes: block.codes },
    {
      name: `${layer}.weight_scale`,
      byteOffset: 2 * firstRow * G,
      bytes: bytesOf(Uint16Array.from(block.scales, f32ToF16)),
    },
  ];
  if (plan.format === "int4" && !plan.isSymmetric) {
    parts.push({
      name: `${layer}.weight_zero_point`,
      byteOffset: (4 * firstRow * G) / ROWS_PER_ZERO_WORD,
      bytes: bytesOf(zeroWords(block.zeros, block.shape[0], G)),
    });
  }
  if (firstRow === 0) {
    const sizes = Int32Array.of(totalRows, 0, C, 0); // two i64
    parts.push({ name: `${layer}.weight_shape`, byteOffset: 0, bytes: bytesOf(sizes) });
  }
  return parts;
}

/** Zero points [rows, G] in nibbles along the rows: word [w, g] holds rows 8w … 8w + 7. Rows that are missing count as zero. */
function zeroWords(zeros: Uint8Array, rows: number, G: number): Int32Array {
  const words = new Int32Array(Math.ceil(rows / ROWS_PER_ZERO_WORD) * G);
  for (let row = 0; row < rows; row++) {
    const word = Math.floor(row / ROWS_PER_ZERO_WORD) * G;
    const shift = 4 * (row % ROWS_PER_ZERO_WORD);
    for (let g = 0; g < G; g++) words[word + g] |= zeros[row * G + g] << shift;
  }
  return words;
}

function bytesOf(array: Int8Array | Uint16Array | Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function layerOf(name: string): string {
  assert(name.endsWith(".weight"), `"${name}" is no weight`);
  return name.slice(0, -".weight".length);
}

/** A matrix that was written, and how. */
export interface PlannedMatrix {
  readonly name: string;
  readonly plan: TensorPlan;
}

const INT8_INPUTS = {
  num_bits: 8,
  type: "int",
  symmetric: true,
  strategy: "token",
  group_size: null,
  dynamic: true,
} as const;

/**
 * The `quantization_config` of a model whose matrices `planned` were written and whose linear layers `kept` stayed dense. The names of
 * `kept` end in `.weight`.
 */
export function quantizationConfig(
  planned: readonly PlannedMatrix[],
  kept: readonly string[],
): Record<string, unknown> {
  const groups = new Map<string, { plan: TensorPlan; names: string[] }>();
  for (const { name, plan } of planned) {
    const key = JSON.stringify(plan);
    const group = groups.get(key) ?? { plan, names: [] };
    group.names.push(name);
    groups.set(key, group);
  }
  const ordered = [...groups.values()].sort((a, b) => b.names.length - a.names.length);
  const formats = new Set(ordered.map(({ plan }) => formatOf(plan)));
  const entries = ordered.map(({ plan, names }, i) => {
    // The largest group is every linear layer; the others, listed behind it by name, take precedence in readers.
    const targets = i === 0 ? ["Linear"] : names.map(layerOf);
    return [
      `group_${i}`,
      { targets, weights: weightsOf(plan), ...activationsOf(plan), format: formatOf(plan) },
    ] as const;
  });
  return {
    quant_method: "compressed-tensors",
    format: formats.size === 1 ? [...formats][0] : "mixed-precision",
    quantization_status: "compressed",
    global_compression_ratio: null,
    kv_cache_scheme: null,
    config_groups: Object.fromEntries(entries),
    ignore: kept.map(layerOf),
  };
}

function formatOf(plan: TensorPlan): string {
  return plan.format === "int8" ? "int-quantized" : "pack-quantized";
}

function weightsOf(plan: TensorPlan): Record<string, unknown> {
  const isInt4 = plan.format === "int4";
  return {
    num_bits: isInt4 ? 4 : 8,
    type: "int",
    symmetric: isInt4 ? plan.isSymmetric : true,
    strategy: isInt4 ? "group" : "channel",
    group_size: isInt4 ? plan.groupSize : null,
    block_structure: null,
    dynamic: false,
    actorder: null,
    observer: "minmax",
    observer_kwargs: {},
  };
}

function activationsOf(plan: TensorPlan): Record<string, unknown> {
  return { input_activations: plan.format === "int8" ? INT8_INPUTS : null, output_activations: null };
}
