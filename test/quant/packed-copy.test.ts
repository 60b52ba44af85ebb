/** Packed copies of quantised checkpoints: used when they are right, passed over when they are not, never half written. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { packCheckpoint } from "../../src/io/packed-copy.ts";
import { quantizeCheckpoint } from "../../src/io/quantize-checkpoint.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import type { QuantizeOptions } from "../../src/quant/quantize-plan.ts";
import { temporaryFolder, tinyCheckpoint } from "../api/tiny-models.ts";

const { binding, ...rest } = loadBinding();
if (!binding) console.warn(`skipped "packed copies": ${JSON.stringify(rest)}`);
const QUANTIZE: QuantizeOptions = { llm: "w4a16", vision: "w8a8", embedding: "int8" };

async function quantised(): Promise<string> {
  const out = join(temporaryFolder(), "model");
  await quantizeCheckpoint(await tinyCheckpoint("lite"), out, { quantize: QUANTIZE });
  return out;
}

async function answer(
  path: string,
  device: "cpu" | "reference" = "cpu",
): Promise<{ ids: readonly number[]; warnings: string[] }> {
  const warnings: string[] = [];
  const model = await loadModel(path, { device, onWarning: (message) => warnings.push(message) });
  const { tokenIds } = await model.generate("What is this?", { maxTokens: 4 });
  model.close();
  return { ids: tokenIds, warnings };
}

describe.skipIf(!binding)("packed copies", () => {
  it("give the same answers without packing anything", async () => {
    const path = await quantised();
    const before = await answer(path);
    const { path: copy, matrices } = await packCheckpoint(path);
    const file = openSafetensors(copy);
    expect(file.names.length).toBe(matrices);
    expect(file.names.some((name) => name.startsWith("llm.model.layers.0."))).toBe(true);
    expect(file.names.some((name) => name.startsWith("vision."))).toBe(true);
    for (const name of file.names) expect((file.stored(name)?.byteOffset ?? 1) % 64).toBe(0);
    expect(await answer(path)).toEqual(before);
    // The copy is what was read: with another magic in one of its matrices the model does not open.
    const bytes = readFileSync(copy);
    bytes[file.stored("llm.model.layers.1.mlp.up_proj.weight")?.byteOffset ?? 0] ^= 1;
    writeFileSync(copy, bytes);
    await expect(answer(path)).rejects.toThrow(/packed copy of "model\.layers\.1\.mlp\.up_proj\.weight"/);
    // Another device does not look at it.
    expect((await answer(path, "reference")).warnings).toEqual([]);
  });

  it("come with a quantised checkpoint when they are asked for", async () => {
    const out = join(temporaryFolder(), "model");
    await quantizeCheckpoint(await tinyCheckpoint("lite"), out, { quantize: QUANTIZE, isPacked: true });
    expect(readdirSync(out).filter((name) => name.startsWith("packed."))).toHaveLength(1);
    expect(await answer(out)).toEqual(await answer(await quantised()));
  });

  it.each<[string, (path: string, copy: string) => void, RegExp]>([
    [
      "of other weights",
      (path) => {
        const weights = join(path, "vision_tower/model.safetensors");
        const bytes = readFileSync(weights);
        bytes[bytes.length - 1] ^= 1;
        writeFileSync(weights, bytes);
      },
      /packed copy of other weights.*nvila pack/,
    ],
    [
      "that is cut off",
      (_, copy) => writeFileSync(copy, readFileSync(copy).subarray(0, -100)),
      /is not used: .*cut off.*nvila pack/,
    ],
    ["that is no safetensors file", (_, copy) => writeFileSync(copy, "hello"), /is not used.*nvila pack/],
  ])("%s are passed over with a warning", async (_, damage, message) => {
    const path = await quantised();
    const { path: copy } = await packCheckpoint(path);
    damage(path, copy);
    const { ids, warnings } = await answer(path);
    expect(ids.length).toBeGreaterThan(0);
    expect(warnings).toEqual([expect.stringMatching(message)]);
    // A new one takes its place.
    await packCheckpoint(path);
    expect((await answer(path)).warnings).toEqual([]);
  });

  it("are refused where nothing is quantised", async () => {
    await expect(packCheckpoint(await tinyCheckpoint("lite"))).rejects.toThrow(
      /nothing in .* is quantised.*nvila quantize/,
    );
  });

  it("leave an older copy and nothing else when they are stopped", async () => {
    const path = await quantised();
    const { path: copy } = await packCheckpoint(path);
    const [names, old] = [readdirSync(path), readFileSync(copy)];
    const controller = new AbortController();
    const work = packCheckpoint(path, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(work).rejects.toThrow("enough");
    expect(readdirSync(path)).toEqual(names);
    expect(readFileSync(copy).equals(old)).toBe(true);
    rmSync(copy);
    expect(existsSync(copy)).toBe(false);
    expect((await answer(path)).warnings).toEqual([]);
  });
});
