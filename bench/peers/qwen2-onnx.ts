/**
 * One decoder block of Qwen2 over a whole prompt as an ONNX model: int4 weights in groups of 128 with zero points and activations that are
 * rounded to int8 (MatMulNBits at accuracy level 4), grouped-query attention with rotary positions in one operator.
 */
import type { LlmShape } from "../../src/checkpoint/presets.ts";
import { constantFloats, noiseBytes, noiseFloats, repeated } from "./noise.ts";
import { OnnxGraph } from "./onnx-graph.ts";

const MICROSOFT = "com.microsoft";
const GROUP_SIZE = 128;
const [BITS, INT8_ACTIVATIONS] = [4, 4];
const RMS_NORM_EPS = 1e-6;
const ROPE_THETA = 1e6;
/** Standard deviation of weights; codes 0 … 15 have one of 4.6. */
const WEIGHT_STD = 0.02;
const CODE_STD = 4.6;

/** Rows of the prompt. */
export const BLOCK_ROWS = 512;
/** Inputs: rows [1, T, C], T − 1 as [1], T as [1]. */
export const BLOCK_INPUTS = { rows: "rows", last: "last", length: "length" } as const;

export async function writeQwen2BlockOnnx(path: string, llm: LlmShape): Promise<void> {
  const graph = await OnnxGraph.create(path);
  try {
    await write(graph, llm);
  } catch (error) {
    await graph.close().catch(() => {}); // the first error counts
    throw error;
  }
}

async function write(graph: OnnxGraph, { hiddenSize: C, heads, kvHeads, mlp: M }: LlmShape): Promise<void> {
  const T = BLOCK_ROWS;
  const D = C / heads;
  const codes = noiseBytes(1);
  const zeros = new Uint8Array(codes.length).fill(0x88);
  const scales = constantFloats(WEIGHT_STD / CODE_STD);
  const biases = noiseFloats(2, WEIGHT_STD);
  const ones = constantFloats(1);

  const linear = async (x: string, inputs: number, outputs: number, hasBias: boolean): Promise<string> => {
    const groups = inputs / GROUP_SIZE;
    const operands = [
      x,
      await graph.weight("u8", [outputs, groups, GROUP_SIZE / 2], (bytes) => repeated(codes, bytes)),
      await graph.weight("f32", [outputs * groups], (bytes) => repeated(scales, bytes)),
      await graph.weight("u8", [outputs * Math.ceil(groups / 2)], (bytes) => repeated(zeros, bytes)),
    ];
    if (hasBias) operands.push("", await graph.weight("f32", [outputs], (bytes) => repeated(biases, bytes)));
    return graph.node("MatMulNBits", operands, {
      domain: MICROSOFT,
      attributes: { K: inputs, N: outputs, bits: BITS, block_size: GROUP_SIZE, accuracy_level: INT8_ACTIVATIONS },
    });
  };
  const norm = async (x: string): Promise<string> => {
    const weight = await graph.weight("f32", [C], (bytes) => repeated(ones, bytes));
    const attributes = { axis: 2, epsilon: { float: RMS_NORM_EPS }, stash_type: 1 };
    return graph.node("SimplifiedLayerNormalization", [x, weight], { attributes });
  };

  const { rows, last, length } = BLOCK_INPUTS;
  const normed = await norm(rows);
  const q = await linear(normed, C, C, true);
  const k = await linear(normed, C, kvHeads * D, true);
  const v = await linear(normed, C, kvHeads * D, true);
  const [cos, sin] = [Math.cos, Math.sin].map((wave) => graph.constant("f32", [T, D / 2], angles(T, D).map(wave)));
  const [attended] = graph.nodes("GroupQueryAttention", [q, k, v, "", "", last, length, cos, sin], {
    domain: MICROSOFT,
    outputs: 3,
    attributes: { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1 },
  });
  const h = graph.node("Add", [rows, await linear(attended, C, C, false)]);
  const inner = await norm(h);
  const gate = await linear(inner, C, M, false);
  const up = await linear(inner, C, M, false);
  const silu = graph.node("Mul", [gate, graph.node("Sigmoid", [gate])]);
  const y = graph.node("Add", [h, await linear(graph.node("Mul", [silu, up]), M, C, false)]);
  await graph.finish(
    [
      { name: rows, dtype: "f32", shape: [1, T, C] },
      { name: last, dtype: "i32", shape: [1] },
      { name: length, dtype: "i32", shape: [1] },
    ],
    [{ name: y, dtype: "f32", shape: [1, T, C] }],
  );
}

/** Of the rotary pairs: [T, D / 2]. */
function angles(T: number, D: number): Float64Array {
  return Float64Array.from({ length: (T * D) / 2 }, (_, i) => {
    const pair = i % (D / 2);
    return Math.floor(i / (D / 2)) * ROPE_THETA ** ((-2 * pair) / D);
  });
}
