import { describe, expect, it } from "vitest";
import { initialSpread } from "../../src/checkpoint/initial-spread.ts";
import { llmTensors, projectorTensors, visionTensors } from "../../src/checkpoint/preset-tensors.ts";
import { presetOf } from "../../src/checkpoint/presets.ts";
import { RecipeTensors } from "../../src/checkpoint/random-recipe.ts";
import { elementCount } from "../../src/core/shape.ts";

const preset = presetOf("nvila-tiny");
const parts = [visionTensors(preset.vision), projectorTensors(preset), llmTensors(preset.llm)];

function deviation(values: ArrayLike<number>): number {
  const all = Array.from(values);
  return Math.sqrt(all.reduce((sum, value) => sum + value * value, 0) / all.length);
}

describe("initial weights of nvila-tiny", () => {
  const [vision, projector, llm] = parts.map(
    (shapes) => new RecipeTensors(shapes, { dtype: "f32", seed: 1, spreadOf: initialSpread(preset) }),
  );

  it.each([
    ["vision_model.embeddings.patch_embedding.weight", vision, (3 * 14 * 14) ** -0.5],
    ["vision_model.encoder.layers.0.self_attn.q_proj.weight", vision, 192 ** -0.5],
    ["vision_model.encoder.layers.3.mlp.fc2.weight", vision, (576 * 2 * 4) ** -0.5],
    ["layers.2.weight", projector, 1536 ** -0.5],
    ["layers.4.weight", projector, 1 / 256],
    ["model.layers.3.mlp.down_proj.weight", llm, (512 * 2 * 4) ** -0.5],
    ["model.embed_tokens.weight", llm, 256 ** -0.5],
    ["model.norm.weight", llm, 1],
    ["model.layers.0.self_attn.q_proj.bias", llm, 0],
  ] as const)("%s is as large as it should be", (name, tensors, expected) => {
    expect(deviation(tensors.data(name) as Float32Array)).toBeCloseTo(expected, 2);
  });

  it("has 4.7 of at most 15 million parameters", () => {
    const count = parts.flatMap((shapes) => [...shapes.values()]).reduce((sum, shape) => sum + elementCount(shape), 0);
    expect(count).toBe(4_656_704);
  });
});
