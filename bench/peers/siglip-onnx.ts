/**
 * SigLIP's vision tower on one tile as an ONNX model, up to the hidden state that NVILA takes: all layers but the last. Attention is one
 * operator in both forms. f32: MatMul. int8: as `quantize_dynamic` of ONNX Runtime writes it, weights int8 with a scale per output
 * channel, activations rounded to uint8 per tensor at run time.
 */
import type { VisionShape } from "../../src/checkpoint/presets.ts";
import { constantFloats, noiseBytes, noiseFloats, repeated } from "./noise.ts";
import { OnnxGraph } from "./onnx-graph.ts";

export type SiglipPrecision = "f32" | "int8";

const MICROSOFT = "com.microsoft";
const LAYER_NORM_EPS = 1e-6;
/** Standard deviation of weights; uniform noise of amplitude a has one of a / √3, int8 codes one of 73.9. */
const WEIGHT_STD = 0.02;
const CODE_STD = 73.9;

/** Name of the input, [1, 3, S, S]. */
export const SIGLIP_INPUT = "pixels";

export async function writeSiglipOnnx(path: string, vision: VisionShape, precision: SiglipPrecision): Promise<void> {
  const graph = await OnnxGraph.create(path);
  try {
    await new SiglipWriter(graph, vision, precision).write();
  } catch (error) {
    await graph.close().catch(() => {}); // the first error counts
    throw error;
  }
}

class SiglipWriter {
  readonly #graph: OnnxGraph;
  readonly #vision: VisionShape;
  readonly #precision: SiglipPrecision;
  readonly #weights = noiseFloats(1, WEIGHT_STD * Math.sqrt(3));
  readonly #codes = noiseBytes(2);
  readonly #ones = constantFloats(1);

  constructor(graph: OnnxGraph, vision: VisionShape, precision: SiglipPrecision) {
    this.#graph = graph;
    this.#vision = vision;
    this.#precision = precision;
  }

  async write(): Promise<void> {
    const { hiddenSize: C, layers, patch, imageSize: S } = this.#vision;
    const side = Math.floor(S / patch);
    const N = side ** 2;
    const graph = this.#graph;
    const kernel = await this.#floats([C, 3, patch, patch]);
    const patches = graph.node("Conv", [SIGLIP_INPUT, kernel, await this.#floats([C])], {
      attributes: { kernel_shape: [patch, patch], strides: [patch, patch] },
    }); // [1, C, side, side]
    const flat = graph.node("Reshape", [patches, graph.constant("i64", [3], [1, C, N])]);
    const rows = graph.node("Transpose", [flat], { attributes: { perm: [0, 2, 1] } }); // [1, N, C]
    let x = graph.node("Add", [rows, await this.#floats([1, N, C])]);
    for (let i = 0; i < layers - 1; i++) x = await this.#layer(x);
    const shape = [1, N, C];
    await graph.finish([{ name: SIGLIP_INPUT, dtype: "f32", shape: [1, 3, S, S] }], [{ name: x, dtype: "f32", shape }]);
  }

  /** x [1, N, C] → [1, N, C]. */
  async #layer(x: string): Promise<string> {
    const { hiddenSize: C, heads, mlp: M } = this.#vision;
    const graph = this.#graph;
    const normed = this.#quantised(await this.#norm(x));
    const q = await this.#linear(normed, C, C);
    const k = await this.#linear(normed, C, C);
    const v = await this.#linear(normed, C, C);
    const attended = graph.node("MultiHeadAttention", [q, k, v], {
      domain: MICROSOFT,
      attributes: { num_heads: heads },
    });
    const h = graph.node("Add", [x, await this.#linear(this.#quantised(attended), C, C)]);
    const inner = await this.#linear(this.#quantised(await this.#norm(h)), C, M); // [1, N, M]
    const gelu = graph.node("FastGelu", [inner], { domain: MICROSOFT }); // the tanh form
    return graph.node("Add", [h, await this.#linear(this.#quantised(gelu), M, C)]);
  }

  async #norm(x: string): Promise<string> {
    const { hiddenSize: C } = this.#vision;
    const weight = await this.#graph.weight("f32", [C], (bytes) => repeated(this.#ones, bytes));
    return this.#graph.node("LayerNormalization", [x, weight, await this.#floats([C])], {
      attributes: { axis: 2, epsilon: { float: LAYER_NORM_EPS } },
    });
  }

  /** What a linear layer takes: the values, or codes with their scale and zero point. */
  #quantised(x: string): readonly string[] {
    return this.#precision === "f32" ? [x] : this.#graph.nodes("DynamicQuantizeLinear", [x], { outputs: 3 });
  }

  async #linear([x, scale, zero]: readonly string[], inputs: number, outputs: number): Promise<string> {
    const graph = this.#graph;
    const bias = await this.#floats([outputs]);
    if (this.#precision === "f32")
      return graph.node("Add", [graph.node("MatMul", [x, await this.#floats([inputs, outputs])]), bias]);
    const codes = await graph.weight("i8", [inputs, outputs], (bytes) => repeated(this.#codes, bytes));
    const scales = graph.constant("f32", [outputs], new Float32Array(outputs).fill(WEIGHT_STD / CODE_STD));
    const sums = graph.node("MatMulInteger", [x, codes, zero]);
    const numbers = graph.node("Cast", [sums], { attributes: { to: 1 } }); // f32
    return graph.node("Add", [graph.node("Mul", [numbers, graph.node("Mul", [scale, scales])]), bias]);
  }

  #floats(shape: readonly number[]): Promise<string> {
    return this.#graph.weight("f32", shape, (bytes) => repeated(this.#weights, bytes));
  }
}
