/** A Qwen2 of a few thousand random weights in memory, for tests of the loop around it. */
import type { Backend } from "../../src/backend/backend.ts";
import { type TensorSource, Weights } from "../../src/checkpoint/weights.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import { type Qwen2Config, Qwen2Model } from "../../src/models/qwen2/qwen2-model.ts";
import { Random } from "../../src/util/random.ts";

export const TINY_VOCABULARY = 50;

const CONFIG: Qwen2Config = {
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  mlp: 24,
  ropeTheta: 1e4,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: false,
};

export function tinyQwen2(backend: Backend): Qwen2Model {
  const { hiddenSize: C, layers, heads, kvHeads, headDim, mlp } = CONFIG;
  const shapes = new Map<string, Shape>([
    ["model.embed_tokens.weight", [TINY_VOCABULARY, C]],
    ["model.norm.weight", [C]],
    ["lm_head.weight", [TINY_VOCABULARY, C]],
  ]);
  for (let i = 0; i < layers; i++) {
    const add = (name: string, shape: Shape): void => {
      shapes.set(`model.layers.${i}.${name}`, shape);
    };
    add("input_layernorm.weight", [C]);
    add("post_attention_layernorm.weight", [C]);
    for (const [name, out] of [
      ["q", heads * headDim],
      ["k", kvHeads * headDim],
      ["v", kvHeads * headDim],
    ] as const) {
      add(`self_attn.${name}_proj.weight`, [out, C]);
      add(`self_attn.${name}_proj.bias`, [out]);
    }
    add("self_attn.o_proj.weight", [C, heads * headDim]);
    add("mlp.gate_proj.weight", [mlp, C]);
    add("mlp.up_proj.weight", [mlp, C]);
    add("mlp.down_proj.weight", [C, mlp]);
  }
  const random = new Random(20251128);
  const data = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) {
    const isNorm = name.includes("norm");
    const values = Float32Array.from({ length: elementCount(shape) }, () => random.nextFloat() - 0.5);
    data.set(name, isNorm ? values.map((v) => 1 + v / 4) : values);
  }
  const source: TensorSource = {
    label: "tiny qwen2",
    names: [...shapes.keys()],
    info: (name) => {
      const shape = shapes.get(name);
      return shape ? { dtype: "f32", shape } : null;
    },
    data: (name) => data.get(name) as Float32Array,
  };
  const weights = new Weights(source, backend);
  const model = new Qwen2Model(weights, CONFIG, TINY_VOCABULARY);
  weights.assertAllUsed();
  return model;
}
