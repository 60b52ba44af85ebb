/** How much work the measured things are, from their shapes. A multiply and an add are two operations. */
import { llmTensors, type TensorShapes } from "../../src/checkpoint/preset-tensors.ts";
import type { LlmShape, VisionShape } from "../../src/checkpoint/presets.ts";
import { elementCount } from "../../src/core/shape.ts";
import { packedCopyPath } from "../../src/io/packed-copy.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";

/** Elements of the matrices that every row of a prompt is multiplied with: all but the table, which is the head. */
function blockWeights(shapes: TensorShapes): number {
  return [...shapes]
    .filter(([name, shape]) => shape.length === 2 && !name.includes("embed_tokens"))
    .reduce((sum, [, shape]) => sum + elementCount(shape), 0);
}

/** Operations of reading a prompt of T tokens, attention and the last row's head included. */
export function prefillOperations(llm: LlmShape, T: number): number {
  const pairs = (T * (T + 1)) / 2; // causal
  return (
    2 * T * blockWeights(llmTensors(llm)) +
    4 * pairs * llm.hiddenSize * llm.layers +
    2 * llm.vocabulary * llm.hiddenSize
  );
}

/** The same of one decoder block. */
export function blockOperations(llm: LlmShape, T: number): number {
  return (2 * T * blockWeights(llmTensors(llm))) / llm.layers + 2 * T * (T + 1) * llm.hiddenSize;
}

/** Operations of one tile through all layers but the last, attention and patches included. */
export function tileOperations({ hiddenSize: C, layers, mlp: M, patch, imageSize }: VisionShape): number {
  const N = Math.floor(imageSize / patch) ** 2;
  return (layers - 1) * (2 * N * (4 * C * C + 2 * C * M) + 4 * N * N * C) + 2 * N * C * 3 * patch * patch;
}

/** Bytes that one token's pass reads at least: the packed weights of the language model, and keys and values (f32) of S positions. */
export function decodeBytes(folder: string, layout: string, llm: LlmShape, S: number): number {
  const packed = openSafetensors(packedCopyPath(folder, layout));
  const weights = packed.names
    .filter((name) => name.startsWith("llm."))
    .reduce((sum, name) => sum + elementCount(packed.info(name)?.shape ?? []), 0);
  return weights + 2 * 4 * S * llm.layers * (llm.hiddenSize / llm.heads) * llm.kvHeads;
}
