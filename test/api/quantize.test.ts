/** A model that is quantised while it loads answers as one that was quantised on the disk, and near the one that was not. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import { image } from "../../src/api/parts.ts";
import { quantizeCheckpoint } from "../../src/io/quantize-checkpoint.ts";
import type { QuantizeOptions } from "../../src/quant/quantize-plan.ts";
import { noise, temporaryFolder, tinyCheckpoint } from "./tiny-models.ts";

const QUESTION = [image(noise(112, 112, 3)), "What is this?"];
const quiet = { onWarning: (): void => {}, device: "reference" as const, worker: false };

async function idsOf(path: string, quantize?: QuantizeOptions): Promise<readonly number[]> {
  const model = await loadModel(path, quantize ? { ...quiet, quantize } : quiet);
  return (await model.generate([...QUESTION], { maxTokens: 3, maxTiles: 1 })).tokenIds;
}

describe("loadModel with quantize", () => {
  it.each<["lite" | "s2", QuantizeOptions]>([
    ["lite", { llm: "w4a16", vision: "w8a8" }],
    ["lite", { llm: "w8a8", lmHead: "int8" }],
    ["lite", { llm: "w4a16", groupSize: 32, isSymmetric: true, lmHead: "int4", embedding: "int8" }],
  ])("answers as the checkpoint that `nvila quantize` writes: %s %j", async (kind, quantize) => {
    const path = await tinyCheckpoint(kind);
    const out = join(temporaryFolder(), "quantised");
    await quantizeCheckpoint(path, out, { quantize });
    const ids = await idsOf(path, quantize);
    expect(ids.length).toBeGreaterThan(0);
    expect(await idsOf(out)).toEqual(ids);
  });

  it("describes what the disk holds", async () => {
    const path = await tinyCheckpoint("s2");
    const out = join(temporaryFolder(), "quantised");
    await quantizeCheckpoint(path, out, { quantize: { llm: "w4a16", vision: "w8a8" } });
    const [before, after] = [(await loadModel(path, quiet)).describe(), (await loadModel(out, quiet)).describe()];
    expect(after.parameters).toEqual(before.parameters);
    expect(after.dtypes).toEqual(expect.arrayContaining(["f32", "int4", "int8"]));
    expect(after.sizeBytes).toBeLessThan(before.sizeBytes);
  });

  it.each<[QuantizeOptions, RegExp]>([
    [{ llm: "q4_0" as "w4a16" }, /expected llm to be w4a16 or w8a8, got "q4_0"/],
    [{ llm: "w4a16", groupSize: 100 }, /expected a group size of 128, 64, 32, got 100/],
  ])("refuses %j", async (quantize, message) => {
    await expect(loadModel(await tinyCheckpoint("lite"), { ...quiet, quantize })).rejects.toThrow(message);
  });
});
