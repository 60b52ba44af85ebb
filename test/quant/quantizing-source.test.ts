/** Quantisation at load: which matrices, what happens to a tied head, and what is refused before any work. */
import { describe, expect, it } from "vitest";
import { dequantize } from "../../src/core/quantized-weight.ts";
import { planTensor, type QuantizeOptions } from "../../src/quant/quantize-plan.ts";
import { quantizingSource } from "../../src/quant/quantizing-source.ts";
import { f32ToBf16 } from "../../src/util/half.ts";
import { relativeError } from "./golden-arrays.ts";
import { MemorySource, type MemoryTensor } from "./memory-source.ts";

/** Smooth noise that no group repeats. */
function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * (seed + 0.37)) * Math.cos(i * 0.011 + seed));
}

function f32(shape: readonly number[], seed: number): MemoryTensor {
  return {
    dtype: "f32",
    shape,
    data: values(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
  };
}

function llm(): MemorySource {
  return new MemorySource({
    "model.embed_tokens.weight": f32([24, 64], 1),
    "model.layers.0.self_attn.q_proj.weight": f32([64, 64], 2),
    "model.layers.0.self_attn.q_proj.bias": f32([64], 3),
    "model.layers.0.mlp.down_proj.weight": {
      dtype: "bf16",
      shape: [64, 128],
      data: Uint16Array.from(values(64 * 128, 4), f32ToBf16),
    },
    "model.layers.0.input_layernorm.weight": f32([64], 5),
  });
}

function source(quantize: QuantizeOptions, isHeadTied = true) {
  return quantizingSource(llm(), { part: "llm", quantize, isHeadTied });
}

describe("quantizingSource", () => {
  it("rounds the linears of blocks and leaves the rest", () => {
    const quantized = source({ llm: "w4a16", groupSize: 64 });
    const formats = Object.fromEntries(
      quantized.names.map((name) => [name, quantized.quantized?.(name)?.format ?? null]),
    );
    expect(formats).toEqual({
      "model.embed_tokens.weight": null,
      "model.layers.0.self_attn.q_proj.weight": "int4",
      "model.layers.0.self_attn.q_proj.bias": null,
      "model.layers.0.mlp.down_proj.weight": "int4",
      "model.layers.0.input_layernorm.weight": null,
    });
    expect(quantized.data("model.embed_tokens.weight")).toEqual(llm().data("model.embed_tokens.weight"));
  });

  it.each([
    [{ llm: "w8a8" }, 0.01],
    [{ llm: "w4a16", groupSize: 32 }, 0.11],
    [{ llm: "w4a16", groupSize: 32, isSymmetric: true }, 0.12],
  ] as const)("stays near the original with %j", (options, bound) => {
    const name = "model.layers.0.self_attn.q_proj.weight";
    const weight = source(options).quantized?.(name);
    if (!weight) throw new Error("not quantised");
    const error = relativeError(dequantize(weight), llm().data(name) as Float32Array);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(bound);
  });

  it("gives a tied head a matrix of its own when it is quantised alone, and only then", () => {
    const own = source({ lmHead: "int8" });
    expect(own.names).toContain("lm_head.weight");
    expect(own.info("lm_head.weight")?.shape).toEqual([24, 64]);
    expect(own.quantized?.("lm_head.weight")?.format).toBe("int8");
    expect(own.quantized?.("model.embed_tokens.weight")).toBeNull();
    const shared = source({ lmHead: "int8", embedding: "int8" });
    expect(shared.names).not.toContain("lm_head.weight");
    expect(shared.quantized?.("model.embed_tokens.weight")?.format).toBe("int8");
    expect(source({ lmHead: "int8" }, false).names).not.toContain("lm_head.weight");
  });

  it("knows the vision tower by its encoder layers", () => {
    const plan = (name: string) => planTensor("vision", name, [64, 64], { vision: "w8a8", llm: "w4a16" });
    expect(plan("vision_model.encoder.layers.0.self_attn.out_proj.weight")).toEqual({ format: "int8" });
    expect(plan("vision_model.encoder.layers.25.mlp.fc2.weight")).toEqual({ format: "int8" });
    expect(plan("vision_model.head.mlp.fc1.weight")).toBeNull();
    expect(plan("vision_model.embeddings.position_embedding.weight")).toBeNull();
    expect(planTensor("projector", "layers.1.weight", [64, 64], { vision: "w8a8" })).toBeNull();
  });

  it("refuses groups that do not divide, telling which do", () => {
    expect(() => source({ llm: "w4a16" })).toThrow(/64 inputs, which groups of 128 do not divide.*64 or 32/);
  });

  it("refuses a matrix that is quantised already", () => {
    const once = source({ llm: "w8a8" });
    expect(() => quantizingSource(once, { part: "llm", quantize: { llm: "w4a16", groupSize: 64 } })).toThrow(
      /quantised already/,
    );
    expect(
      quantizingSource(once, { part: "llm", quantize: { lmHead: "int8" } }).quantized?.(
        "model.layers.0.self_attn.q_proj.weight",
      )?.format,
    ).toBe("int8");
  });

  it("refuses values that are not finite", () => {
    const tensors = llm();
    (tensors.data("model.layers.0.self_attn.q_proj.weight") as Float32Array)[77] = Number.NaN;
    for (const llmFormat of ["w4a16", "w8a8"] as const) {
      const broken = quantizingSource(tensors, { part: "llm", quantize: { llm: llmFormat, groupSize: 64 } });
      expect(() => broken.quantized?.("model.layers.0.self_attn.q_proj.weight")).toThrow(/not finite/);
    }
  });
});
