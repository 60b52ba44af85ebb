/** `.pt` files of the original: the packed model and the result of an AWQ search. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { dequantize } from "../../src/core/quantized-weight.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { openStateDict, openTorchArchive } from "../../src/io/torch-file.ts";
import { readAwqSearch } from "../../src/quant/awq-search.ts";
import { unpackedSource } from "../../src/quant/packed-source.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { expectSame, floats } from "./golden-arrays.ts";

const ROOT = "quantisation";

describeGolden("torch files", (dir) => {
  it("llm_awq_v2: the model that the other writers gave, and its dense tensors", () => {
    const root = `${ROOT}/awq_gqa`;
    const config = readGoldenJson<unknown>(dir, `${root}/llm_awq_v2/config.json`);
    const file = openStateDict(join(dir, root, "llm_awq_v2/tiny-w4-g128-v2.pt"));
    const source = unpackedSource(file, { config, configLabel: "config.json" });
    const expected = openSafetensors(join(dir, root, "expected_disk.safetensors"));
    const layers = expected.names.filter((name) => name.endsWith(".q4")).map((name) => name.slice(0, -3));
    expect(layers).toHaveLength(14);
    for (const layer of layers) {
      const weight = source.quantized?.(`${layer}.weight`);
      if (weight?.format !== "int4") throw new Error(`${layer} is not int4`);
      expectSame("codes", weight.codes, expected.data(`${layer}.q4`) as Uint8Array);
      expectSame("scales", weight.scales, floats(expected, `${layer}.scale`));
      expectSame("zeros", weight.zeros, expected.data(`${layer}.zero`) as Uint8Array);
      if (!expected.info(`${layer}.dequant_v2_rows_0_32`)) continue;
      // The file's own value has the product scale · zero rounded to a half; the integer zero differs by that rounding only.
      const own = floats(expected, `${layer}.dequant_v2_rows_0_32`);
      const values = dequantize(weight);
      own.forEach((value, i) => {
        expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(weight.scales[Math.floor(i / 128)] * 15 * 2 ** -11);
      });
    }
    const other = openSafetensors(join(dir, root, "autoawq_gemm/model.safetensors"));
    const names = ["lm_head.weight", "model.norm.weight", "model.layers.1.self_attn.q_proj.bias"];
    for (const name of names) expectSame(name, floats(source, name), floats(other, name));
    expect(source.names.filter((name) => /qweight|scaled_zeros|scales/.test(name))).toEqual([]);
  });

  for (const folder of ["awq_gqa", "awq_mha"]) {
    it(`${folder}/awq_search.pt: scales and clips`, () => {
      const search = readAwqSearch(openTorchArchive(join(dir, ROOT, folder, "awq_search.pt")));
      const golden = openSafetensors(join(dir, ROOT, folder, "search.safetensors"));
      const { groups } = readGoldenJson<{ groups: { prev_op: string; linears: string[] }[] }>(
        dir,
        `${ROOT}/${folder}/search.json`,
      );
      expect(search.scales.map(({ previous, linears }) => [previous, linears])).toEqual(
        groups.map((group) => [group.prev_op, group.linears]),
      );
      for (const { previous, scales } of search.scales) {
        expectSame(previous, scales, floats(golden, `scale.${previous}`));
      }
      const clipped = golden.names.filter((name) => name.startsWith("clip.")).map((name) => name.slice(5));
      expect(search.clips.map(({ linear }) => linear).sort()).toEqual(clipped.sort());
      for (const { linear, shape, max } of search.clips) {
        expect(shape).toEqual(golden.info(`clip.${linear}`)?.shape);
        expectSame(linear, max, floats(golden, `clip.${linear}`));
      }
    });
  }
});
