/** A model built from tensors that are missing, left over or of another shape: every one of them is named. */
import { describe, expect, it } from "vitest";
import { createBackend } from "../../src/backend/registry.ts";
import { presetConfigs } from "../../src/checkpoint/preset-configs.ts";
import { llmTensors, projectorTensors, visionTensors } from "../../src/checkpoint/preset-tensors.ts";
import { presetOf } from "../../src/checkpoint/presets.ts";
import { RecipeTensors } from "../../src/checkpoint/random-recipe.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import type { Shape } from "../../src/core/shape.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { NvilaModel } from "../../src/models/nvila/nvila-model.ts";
import { WeightsError } from "../../src/util/errors.ts";

type Part = "llm" | "vision" | "projector";
type Shapes = Readonly<Record<Part, ReadonlyMap<string, Shape>>>;

const preset = presetOf("nvila-tiny-random-s2");
const shapes: Shapes = {
  llm: llmTensors(preset.llm),
  vision: visionTensors(preset.vision),
  projector: projectorTensors(preset),
};
const config = parseNvilaConfig(presetConfigs(preset, "bf16", {}));
const backend = createBackend("reference", {}, () => {});

function build(from: Shapes, tieWordEmbeddings = false): NvilaModel {
  const none = new Int32Array(0);
  const weights = (part: Part): Weights =>
    new Weights(new RecipeTensors(from[part], { seed: 1, dtype: "bf16" }), backend);
  return new NvilaModel(
    { llm: weights("llm"), vision: weights("vision"), projector: weights("projector") },
    { ...config.model, llm: { ...config.model.llm, tieWordEmbeddings } },
    {
      count: 1908,
      media: { image: 1906, video: 1907 },
      imageEncoder: { start: none, end: none },
      videoEncoder: { start: none, end: none, sep: none },
    },
  );
}

/** The model's tensors with one of `part` set to `shape`, or removed. */
function changed(part: Part, name: string, shape: Shape | null): Shapes {
  const map = new Map(shapes[part]);
  if (shape) map.set(name, shape);
  else map.delete(name);
  return { ...shapes, [part]: map };
}

/** The last layer of the tower and what follows it are not used: the hidden state before it is. */
const isUnused = (name: string): boolean => name.includes(".post_layernorm.") || name.includes(".layers.2.");
const PARTS: readonly Part[] = ["vision", "projector", "llm"];

describe("NvilaModel from named tensors", () => {
  it("takes exactly the tensors of a native checkpoint", () => {
    expect(build(shapes).llm.vocabularySize).toBe(1908);
    const kept = new Map(shapes.vision);
    for (const name of shapes.vision.keys()) if (isUnused(name)) kept.delete(name);
    expect(build({ ...shapes, vision: kept }).vision.layers.length).toBe(2);
  });

  it.each(PARTS)("names each tensor of the %s that is missing", (part) => {
    for (const name of shapes[part].keys()) {
      if (part === "vision" && isUnused(name)) continue;
      const message = messageOf(() => build(changed(part, name, null)));
      expect(message, name).toContain("is missing in");
      // Without its first tensor the tower looks for the names of newer files.
      if (name !== "vision_model.embeddings.patch_embedding.weight") expect(message).toContain(`"${name}"`);
    }
  });

  it.each(PARTS)("names each tensor of the %s with another shape, and both shapes", (part) => {
    for (const [name, shape] of shapes[part]) {
      if ((part === "vision" && isUnused(name)) || name === "model.embed_tokens.weight") continue;
      const wrong = [...shape.slice(0, -1), shape[shape.length - 1] + 1];
      const message = messageOf(() => build(changed(part, name, wrong)));
      expect(message).toContain(`"${name}" has shape [${wrong.join(", ")}], expected [${shape.join(", ")}]`);
    }
  });

  it.each(PARTS)("names tensors of the %s that are left over", (part) => {
    const message = messageOf(() => build(changed(part, "model.extra.weight", [1])));
    expect(message).toMatch(/holds 1 tensors that the model does not know: model\.extra\.weight/);
  });

  it("refuses an embedding table of another width, and a head of another length", () => {
    expect(messageOf(() => build(changed("llm", "model.embed_tokens.weight", [2048, 127])))).toContain(
      "expected [2048, 128]",
    );
    expect(messageOf(() => build(changed("llm", "lm_head.weight", [2047, 128])))).toContain("expected [2048, 128]");
  });

  it("takes a tied model with and without lm_head, and never an untied one without", () => {
    expect(build(changed("llm", "lm_head.weight", null), true).llm.lmHead.weight).toBeDefined();
    expect(build(shapes, true).llm.vocabularySize).toBe(1908);
    expect(messageOf(() => build(changed("llm", "lm_head.weight", null)))).toContain('"lm_head.weight" is missing in');
  });

  it("takes a tower without the level vision_model, with a pooling head and saved position ids", () => {
    const plain = new Map([...shapes.vision].map(([name, shape]) => [name.replace("vision_model.", ""), shape]));
    plain.set("head.probe", [1, 1, 64]).set("embeddings.position_ids", [1, 64]);
    expect(build({ ...shapes, vision: plain }).tokensPerTile).toBe(64);
  });

  it("refuses weights that are no floats", () => {
    const source = new RecipeTensors(shapes.vision, { seed: 1, dtype: "bf16" });
    const integers = {
      label: "x",
      names: source.names,
      data: () => new Int32Array(1),
      info: (name: string) => ({ ...source.info(name)!, dtype: "i32" as const }),
    };
    expect(messageOf(() => new Weights(integers, backend).tensor("vision_model.post_layernorm.bias", [64]))).toContain(
      "has dtype i32, expected f32, bf16 or f16",
    );
  });
});

function messageOf(use: () => unknown): string {
  try {
    use();
  } catch (error) {
    expect(error).toBeInstanceOf(WeightsError);
    return (error as Error).message;
  }
  return expect.fail("nothing was refused");
}
