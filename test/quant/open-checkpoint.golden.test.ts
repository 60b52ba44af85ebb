/** Checkpoints whose language model other tools have quantised open like any other. */
import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { quantizeCheckpoint } from "../../src/io/quantize-checkpoint.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { copyCheckpoint, editJson, readJson, TemporaryFolder } from "../checkpoint/golden-checkpoints.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { expectSame } from "./golden-arrays.ts";

const temporary = new TemporaryFolder();
afterAll(() => temporary.remove());

describeGolden("openCheckpoint with a quantised language model", (dir) => {
  /** nvila-tiny-s2 with the language model of `folder` in place of its own. */
  function withLlm(folder: string): string {
    const model = copyCheckpoint(join(dir, "checkpoints/nvila-tiny-s2"), temporary.next());
    for (const name of readdirSync(join(model, "llm"))) {
      if (/\.safetensors|^config\.json$/.test(name)) rmSync(join(model, "llm", name));
    }
    cpSync(join(dir, "quantisation/awq_gqa", folder), join(model, "llm"), { recursive: true });
    return model;
  }
  const expected = openSafetensors(join(dir, "quantisation/awq_gqa/expected_disk.safetensors"));
  const LAYER = "model.layers.1.mlp.down_proj";

  async function expectOpens(model: string): Promise<void> {
    const warnings: string[] = [];
    const files = await openCheckpoint(model, { onWarning: (message) => warnings.push(message) });
    const weight = files.weights.llm.quantized?.(`${LAYER}.weight`);
    if (weight?.format !== "int4") throw new Error("not int4");
    expectSame("codes", weight.codes, expected.data(`${LAYER}.q4`) as Uint8Array);
    expect(files.weights.llm.names.filter((name) => /qweight|qzeros|scale|packed/.test(name))).toEqual([]);
    expect(files.dtypes).toContain("int4");
    const dense = await openCheckpoint(withLlm("model"));
    expect(files.parameters).toEqual(dense.parameters);
    expect(files.sizeBytes).toBeLessThan(dense.sizeBytes);
    expect(warnings).toEqual([]);
  }

  it.each(["autoawq_gemm", "gptq", "compressed_tensors", "llm_awq_v2"])("%s", async (folder) => {
    await expectOpens(withLlm(folder));
  });

  it("the description in a file of its own", async () => {
    const model = withLlm("autoawq_gemm");
    const path = join(model, "llm/config.json");
    const { group_size, zero_point } = readJson(path).quantization_config as Record<string, unknown>;
    editJson(path, (config) => {
      delete config.quantization_config;
    });
    writeFileSync(
      join(model, "llm/quant_config.json"),
      JSON.stringify({ w_bit: 4, q_group_size: group_size, zero_point, version: "GEMM" }),
    );
    await expectOpens(model);
  });

  it("the description in the root's config.json", async () => {
    const model = withLlm("gptq");
    const quantization = readJson(join(model, "llm/config.json")).quantization_config;
    editJson(join(model, "llm/config.json"), (config) => {
      delete config.quantization_config;
    });
    editJson(join(model, "config.json"), (config) => {
      config.quantization_config = quantization;
    });
    await expectOpens(model);
  });

  it("another description than the tensors have is refused", async () => {
    const model = withLlm("autoawq_gemm");
    editJson(join(model, "llm/config.json"), (config) => {
      (config.quantization_config as Record<string, unknown>).quant_method = "gptq";
    });
    await expect(openCheckpoint(model)).rejects.toThrow(/GPTQ.*(scales|qzeros) has shape|groups/);
  });

  it("the vision tower beside it can be quantised, it itself not again", async () => {
    const model = withLlm("llm_awq_v2");
    const out = join(temporary.next(), "out");
    await expect(quantizeCheckpoint(model, out, { quantize: { llm: "w8a8" } })).rejects.toThrow(/quantised already/);
    await quantizeCheckpoint(model, out, { quantize: { vision: "w8a8" } });
    await expectOpens(out);
    const tower = (await openCheckpoint(out)).weights.vision;
    expect(tower.quantized?.("vision_model.encoder.layers.0.mlp.fc1.weight")?.format).toBe("int8");
  });
});
