/** Quantised checkpoints on the disk: what is written is read back to the last bit, and nothing is left when something goes wrong. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { type QuantizedWeight, quantizedBytes } from "../../src/core/quantized-weight.ts";
import { type CheckpointFiles, openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { quantizeCheckpoint } from "../../src/io/quantize-checkpoint.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { isPlanned, LM_HEAD, type QuantizeOptions } from "../../src/quant/quantize-plan.ts";
import { quantizingSource } from "../../src/quant/quantizing-source.ts";
import { copyCheckpoint, readJson, TemporaryFolder, writeFlatCheckpoint } from "../checkpoint/golden-checkpoints.ts";
import { describeGolden, goldenDir } from "../golden/golden-dir.ts";
import { bytes, expectSame } from "./golden-arrays.ts";

const temporary = new TemporaryFolder();
afterAll(() => temporary.remove());

function expectSameWeight(label: string, actual: QuantizedWeight, expected: QuantizedWeight): void {
  expect(actual.format, label).toBe(expected.format);
  expect(actual.shape, label).toEqual(expected.shape);
  expectSame(`${label} codes`, actual.codes, expected.codes);
  expectSame(`${label} scales`, actual.scales, expected.scales);
  if (actual.format === "int4" && expected.format === "int4") {
    expect(actual.groupSize, label).toBe(expected.groupSize);
    expectSame(`${label} zeros`, actual.zeros, expected.zeros);
  }
}

/** Every tensor of the written model is that of the original, or of the original rounded at load. */
function expectRounded(written: CheckpointFiles, original: CheckpointFiles, quantize: QuantizeOptions): number {
  const isHeadTied = parseNvilaConfig(original.configs).model.llm.tieWordEmbeddings;
  let count = 0;
  for (const part of ["llm", "vision", "projector"] as const) {
    const expected = quantizingSource(original.weights[part], { part, quantize, isHeadTied });
    const actual: TensorSource = written.weights[part];
    expect([...actual.names].sort(), part).toEqual([...expected.names].sort());
    for (const name of expected.names) {
      const weight = expected.quantized?.(name) ?? null;
      expect(isPlanned(part, name, quantize), name).toBe(weight !== null);
      expect(actual.info(name)?.shape, name).toEqual(expected.info(name)?.shape);
      if (weight) {
        const read = actual.quantized?.(name);
        if (!read) throw new Error(`"${name}" was not written quantised`);
        expectSameWeight(name, read, weight);
        count++;
      } else {
        expect(actual.quantized?.(name) ?? null).toBeNull();
        expectSame(name, bytes(actual.data(name)), bytes(expected.data(name)));
      }
    }
  }
  return count;
}

describeGolden("quantizeCheckpoint", (dir) => {
  const golden = (name: string): string => join(dir, "checkpoints", name);

  it.each<[string, number, QuantizeOptions]>([
    ["nvila-tiny-s2", 39, { llm: "w4a16", vision: "w8a8", groupSize: 64 }],
    ["nvila-tiny-s2", 23, { llm: "w4a16", groupSize: 32, isSymmetric: true, lmHead: "int8", embedding: "int4" }],
    ["nvila-tiny-s2", 22, { llm: "w8a8", lmHead: "int4", groupSize: 32 }],
    ["nvila-tiny-video", 33, { llm: "w8a8", vision: "w8a8", embedding: "int8" }],
  ])("writes %s so that %d matrices are read back exactly: %j", async (name, count, quantize) => {
    const out = join(temporary.next(), "out");
    const report = await quantizeCheckpoint(golden(name), out, { quantize });
    const [written, original] = [await openCheckpoint(out), await openCheckpoint(golden(name))];
    expect(expectRounded(written, original, quantize)).toBe(count);
    expect(parseNvilaConfig(written.configs)).toEqual(parseNvilaConfig(original.configs));
    expect(written.tokenizer).toEqual(original.tokenizer);
    expect(report.bytesAfter).toBeLessThan(report.bytesBefore);
    expect(report.parts.reduce((sum, part) => sum + part.matrices, 0)).toBe(count);
    for (const { matrices, meanRelativeError, worst } of report.parts) {
      expect(matrices > 0).toBe(meanRelativeError !== null);
      if (meanRelativeError === null || !worst) continue;
      expect(meanRelativeError).toBeGreaterThan(0.003);
      expect(meanRelativeError).toBeLessThan(0.13);
      expect(worst.relativeError).toBeGreaterThanOrEqual(meanRelativeError);
    }
  });

  it("keeps shards, their index and other files, and describes the formats", async () => {
    const folder = copyCheckpoint(golden("nvila-tiny-s2"), temporary.next());
    writeFileSync(join(folder, "llm/optimizer.pt"), "not for copying");
    writeFileSync(join(folder, "llm/.hidden"), "not for copying");
    mkdirSync(join(folder, "llm/llm"));
    writeFileSync(join(folder, "llm/llm/tokenizer.json"), "{}");
    const out = join(temporary.next(), "out");
    await quantizeCheckpoint(folder, out, { quantize: { llm: "w4a16", lmHead: "int8", groupSize: 32 } });
    const listed = (path: string): string[] => readdirSync(path, { recursive: true }).map(String).sort();
    expect(listed(out)).toEqual(listed(folder).filter((name) => !/optimizer|hidden/.test(name)));
    const index = readJson(join(out, "llm/model.safetensors.index.json")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    const shards = [...new Set(Object.values(index.weight_map))];
    expect(shards.length).toBe(2);
    const header = shards.map((shard) => openSafetensors(join(out, "llm", shard)));
    expect(header.flatMap((file) => [...file.names]).sort()).toEqual(Object.keys(index.weight_map).sort());
    const data = header.flatMap((file) => file.names.map((name) => file.stored(name)?.byteLength ?? 0));
    expect(index.metadata.total_size).toBe(data.reduce((sum, length) => sum + length, 0));
    for (const file of header) {
      for (const name of file.names) {
        const { storedDType, byteOffset } = file.stored(name) ?? { storedDType: "", byteOffset: 1 };
        const size = { I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2 }[storedDType] ?? 1;
        expect(byteOffset % size, `${name} is aligned`).toBe(0);
      }
    }
    const config = readJson(join(out, "llm/config.json")).quantization_config as Record<string, unknown>;
    expect(config).toMatchObject({
      quant_method: "compressed-tensors",
      format: "mixed-precision",
      ignore: [],
      config_groups: {
        group_0: {
          targets: ["Linear"],
          format: "pack-quantized",
          weights: { num_bits: 4, group_size: 32, strategy: "group", symmetric: false, type: "int" },
          input_activations: null,
        },
        group_1: {
          targets: ["lm_head"],
          format: "int-quantized",
          weights: { num_bits: 8, strategy: "channel", symmetric: true },
          input_activations: { num_bits: 8, strategy: "token", dynamic: true },
        },
      },
    });
    expect(readJson(join(out, "vision_tower/config.json")).quantization_config).toBeUndefined();
  });

  it("gives a tied head its own matrix when it is quantised alone", async () => {
    const out = join(temporary.next(), "out");
    const quantize: QuantizeOptions = { llm: "w8a8", lmHead: "int8" };
    await quantizeCheckpoint(golden("nvila-tiny-lite"), out, { quantize });
    const [written, original] = [await openCheckpoint(out), await openCheckpoint(golden("nvila-tiny-lite"))];
    expect(parseNvilaConfig(original.configs).model.llm.tieWordEmbeddings).toBe(true);
    expect(parseNvilaConfig(written.configs).model.llm.tieWordEmbeddings).toBe(false);
    expect(expectRounded(written, original, quantize)).toBe(15);
    const both = join(temporary.next(), "both");
    await quantizeCheckpoint(golden("nvila-tiny-lite"), both, { quantize: { lmHead: "int8", embedding: "int8" } });
    const shared = await openCheckpoint(both);
    expect(parseNvilaConfig(shared.configs).model.llm.tieWordEmbeddings).toBe(true);
    expect(shared.weights.llm.names).not.toContain(LM_HEAD);
    expect((shared.weights.llm as TensorSource).quantized?.("model.embed_tokens.weight")?.format).toBe("int8");
  });

  it("does the same to the flat layout", async () => {
    const flat = writeFlatCheckpoint(golden("nvila-tiny-s2"), temporary.next());
    const out = join(temporary.next(), "out");
    const quantize: QuantizeOptions = { llm: "w4a16", vision: "w8a8", groupSize: 32 };
    await quantizeCheckpoint(flat, out, { quantize });
    const written = await openCheckpoint(out);
    expect(written.layout).toBe("hf");
    expect(expectRounded(written, await openCheckpoint(flat), quantize)).toBe(39);
    expect(written.dtypes).toContain("int4");
    const config = readJson(join(out, "config.json")).quantization_config as { ignore: string[] };
    expect(config.ignore).toContain("llm.lm_head");
  });

  it("counts what it reads to the end", async () => {
    const seen: number[] = [];
    let total = 0;
    await quantizeCheckpoint(golden("nvila-tiny-s2"), join(temporary.next(), "out"), {
      quantize: { llm: "w8a8" },
      onProgress: ({ bytesDone, bytesTotal }) => {
        seen.push(bytesDone);
        total = bytesTotal;
      },
    });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBeLessThanOrEqual(total);
    expect(seen.at(-1)).toBeGreaterThan(total * 0.9);
  });

  it("leaves nothing behind when it is aborted", async () => {
    const parent = temporary.next();
    const controller = new AbortController();
    const work = quantizeCheckpoint(golden("nvila-tiny-s2"), join(parent, "out"), {
      quantize: { llm: "w8a8" },
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(work).rejects.toThrow("enough");
    expect(readdirSync(parent)).toEqual([]);
  });

  it.each<[string, QuantizeOptions, RegExp]>([
    ["nothing to do", {}, /nothing is to be quantised/],
    ["an unknown format", { llm: "w3a16" as "w4a16" }, /expected llm to be w4a16 or w8a8, got "w3a16"/],
    ["an unknown group size", { llm: "w4a16", groupSize: 48 }, /expected a group size of 128, 64, 32, got 48/],
    ["groups that do not divide", { llm: "w4a16", groupSize: 128 }, /64 inputs, which groups of 128 do not divide/],
  ])("refuses %s", async (_, quantize, message) => {
    const parent = temporary.next();
    await expect(quantizeCheckpoint(golden("nvila-tiny-s2"), join(parent, "out"), { quantize })).rejects.toThrow(
      message,
    );
    expect(readdirSync(parent)).toEqual([]);
  });

  it("refuses a target that is in use, and a model that is quantised already", async () => {
    const out = join(temporary.next(), "out");
    const quantize: QuantizeOptions = { vision: "w8a8" };
    await quantizeCheckpoint(golden("nvila-tiny-s2"), out, { quantize });
    await expect(quantizeCheckpoint(golden("nvila-tiny-s2"), out, { quantize })).rejects.toThrow(/is empty, got/);
    const again = join(temporary.next(), "again");
    await expect(quantizeCheckpoint(out, again, { quantize })).rejects.toThrow(/quantised already/);
    expect(existsSync(again)).toBe(false);
    // Another part may follow in a second run.
    await quantizeCheckpoint(out, again, { quantize: { llm: "w8a8" } });
    expect(
      expectRounded(await openCheckpoint(again), await openCheckpoint(golden("nvila-tiny-s2")), {
        ...quantize,
        llm: "w8a8",
      }),
    ).toBe(39);
  });

  it("refuses weights that are not finite and leaves nothing behind", async () => {
    const folder = copyCheckpoint(golden("nvila-tiny-lite"), temporary.next());
    const path = join(folder, "vision_tower/model.safetensors");
    const file = openSafetensors(path, { isMapped: false });
    const { byteOffset } = file.stored("vision_model.encoder.layers.1.mlp.fc1.weight") ?? { byteOffset: 0 };
    const content = readFileSync(path);
    content.writeFloatLE(Number.POSITIVE_INFINITY, byteOffset + 40);
    rmSync(path); // a copy of a read-only file
    writeFileSync(path, content);
    const parent = temporary.next();
    await expect(quantizeCheckpoint(folder, join(parent, "out"), { quantize: { vision: "w8a8" } })).rejects.toThrow(
      /mlp\.fc1\.weight" holds values that are not finite/,
    );
    expect(readdirSync(parent)).toEqual([]);
  });
});

describe("sizes", () => {
  it.skipIf(goldenDir() === null)("of the written file are those of the canonical form, scales as halves", async () => {
    const out = join(temporary.next(), "out");
    const source = join(goldenDir() ?? "", "checkpoints/nvila-tiny-s2");
    await quantizeCheckpoint(source, out, { quantize: { llm: "w4a16", groupSize: 64 } });
    const llm: TensorSource = (await openCheckpoint(out)).weights.llm;
    const name = "model.layers.0.mlp.down_proj.weight";
    const weight = llm.quantized?.(name);
    if (weight?.format !== "int4") throw new Error("not int4");
    expect(quantizedBytes(weight)).toBe((64 * 128) / 2 + 4 * 128 + 128);
    expect(statSync(join(out, "llm", "config.json")).mode & 0o200).toBe(0o200);
  });
});
