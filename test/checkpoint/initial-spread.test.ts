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
    [vision, "vision_model.embeddings.patch_embedding.weight", (3 * 14 * 14) ** -0.5],
    [vision, "vision_model.encoder.layers.0.self_attn.q_proj.weight", 192 ** -0.5],
    [vision, "vision_model.encoder.layers.4.mlp.fc2.weight", (576 * 2 * 5) ** -0.5],
    [projector, "layers.2.weight", 1536 ** -0.5],
    [projector, "layers.4.weight", 1 / 256],
    [llm, "model.layers.5.mlp.down_proj.weight", (512 * 2 * 6) ** -0.5],
    [llm, "model.embed_tokens.weight", 256 ** -0.5],
    [llm, "model.norm.weight", 1],
    [llm, "model.layers.0.self_attn.q_proj.bias", 0],
  ] as const)("%#: %s is as large as it should be", (tensors, name, expected) => {
    expect(deviation(tensors.data(name) as Float32Array)).toBeCloseTo(expected, 2);
  });

  it("has at most 15 million parameters, and fits into 10 MB with int8", () => {
    const count = parts.flatMap((shapes) => [...shapes.values()]).reduce((sum, shape) => sum + elementCount(shape), 0);
    expect(count).toBeGreaterThan(5e6);
    expect(count).toBeLessThan(7e6);
  });
});
