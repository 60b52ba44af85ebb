/** Names and shapes of a model's tensors as native checkpoints write them, part by part, without the part's prefix. */
import type { Shape } from "../core/shape.ts";
import type { LlmShape, ModelPreset, VisionShape } from "./presets.ts";

/** In the order of the file. */
export type TensorShapes = ReadonlyMap<string, Shape>;

/** Collects names below a prefix. */
class Names {
  readonly shapes = new Map<string, Shape>();

  add(name: string, shape: Shape): void {
    this.shapes.set(name, shape);
  }

  /** `weight` [out, in] and `bias` [out]. */
  linear(name: string, size: { in: number; out: number }): void {
    this.add(`${name}.weight`, [size.out, size.in]);
    this.add(`${name}.bias`, [size.out]);
  }

  layerNorm(name: string, width: number): void {
    this.add(`${name}.weight`, [width]);
    this.add(`${name}.bias`, [width]);
  }
}

export function visionTensors({ hiddenSize: C, layers, mlp, patch, imageSize }: VisionShape): TensorShapes {
  const names = new Names();
  const root = "vision_model";
  names.add(`${root}.embeddings.patch_embedding.weight`, [C, 3, patch, patch]);
  names.add(`${root}.embeddings.patch_embedding.bias`, [C]);
  names.add(`${root}.embeddings.position_embedding.weight`, [Math.floor(imageSize / patch) ** 2, C]);
  for (let i = 0; i < layers; i++) {
    const layer = `${root}.encoder.layers.${i}`;
    names.layerNorm(`${layer}.layer_norm1`, C);
    for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
      names.linear(`${layer}.self_attn.${name}`, { in: C, out: C });
    }
    names.layerNorm(`${layer}.layer_norm2`, C);
    names.linear(`${layer}.mlp.fc1`, { in: C, out: mlp });
    names.linear(`${layer}.mlp.fc2`, { in: mlp, out: C });
  }
  names.layerNorm(`${root}.post_layernorm`, C);
  return names.shapes;
}

export function projectorTensors({
  projector,
  vision,
  llm,
  scales,
}: Pick<ModelPreset, "projector" | "vision" | "llm" | "scales">): TensorShapes {
  const names = new Names();
  const m = vision.hiddenSize * scales;
  const { hiddenSize: H } = llm;
  if (projector === "mlp_downsample_3x3_fix") {
    names.layerNorm("layers.1", 9 * m);
    names.linear("layers.2", { in: 9 * m, out: 3 * m });
    names.layerNorm("layers.4", 3 * m);
    names.linear("layers.5", { in: 3 * m, out: H });
    names.linear("layers.7", { in: H, out: H });
  } else {
    names.layerNorm("layers.1", 4 * m);
    names.linear("layers.2", { in: 4 * m, out: H });
    names.linear("layers.4", { in: H, out: H });
  }
  return names.shapes;
}

export function llmTensors(llm: LlmShape): TensorShapes {
  const { hiddenSize: C, layers, heads, kvHeads, mlp, vocabulary } = llm;
  const D = C / heads;
  const names = new Names();
  names.add("model.embed_tokens.weight", [vocabulary, C]);
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    names.add(`${layer}.input_layernorm.weight`, [C]);
    names.linear(`${layer}.self_attn.q_proj`, { in: C, out: C });
    names.linear(`${layer}.self_attn.k_proj`, { in: C, out: kvHeads * D });
    names.linear(`${layer}.self_attn.v_proj`, { in: C, out: kvHeads * D });
    names.add(`${layer}.self_attn.o_proj.weight`, [C, C]);
    names.add(`${layer}.post_attention_layernorm.weight`, [C]);
    names.add(`${layer}.mlp.gate_proj.weight`, [mlp, C]);
    names.add(`${layer}.mlp.up_proj.weight`, [mlp, C]);
    names.add(`${layer}.mlp.down_proj.weight`, [C, mlp]);
  }
  names.add("model.norm.weight", [C]);
  if (!llm.tieWordEmbeddings) names.add("lm_head.weight", [vocabulary, C]);
  return names.shapes;
}
