/** Every packed format of the golden files becomes the same canonical weight, to the last code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StoredTensors } from "../../src/checkpoint/stored-tensors.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { dequantize, type Int4Weight, type QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { openSafetensors, type SafetensorsTensors } from "../../src/io/safetensors-file.ts";
import { unpackedSource } from "../../src/quant/packed-source.ts";
import { roundToF16 } from "../../src/util/half.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { bytes, expectSame, floats, matrixShape, unpackNibbles } from "./golden-arrays.ts";
import { MemorySource, type MemoryTensor, renamed } from "./memory-source.ts";

const LAYER = "layer";

function awq(version: string, groupSize: number) {
  return { quant_method: "awq", bits: 4, group_size: groupSize, zero_point: true, version };
}
function gptq(format: string, groupSize: number) {
  return {
    quant_method: "gptq",
    bits: 4,
    group_size: groupSize,
    sym: false,
    desc_act: false,
    checkpoint_format: format,
  };
}
function compressed(symmetric: boolean, groupSize: number | null) {
  const weights = {
    num_bits: 4,
    type: "int",
    symmetric,
    strategy: groupSize === null ? "channel" : "group",
    group_size: groupSize,
    dynamic: false,
  };
  return {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    config_groups: { group_0: { targets: ["Linear"], weights, input_activations: null, output_activations: null } },
  };
}

function read(source: StoredTensors, quantization: unknown, warnings: string[] = []): TensorSource {
  return unpackedSource(source, {
    config: quantization === null ? {} : { quantization_config: quantization },
    configLabel: "config.json",
    onWarning: (message) => warnings.push(message),
  });
}

function int4(source: TensorSource, name = `${LAYER}.weight`): Int4Weight {
  const weight = source.quantized?.(name);
  if (weight?.format !== "int4") throw new Error(`"${name}" is not int4`);
  return weight;
}

describeGolden("packed formats", (dir) => {
  const all = openSafetensors(join(dir, "quantisation/formats_small/formats_small.safetensors"));

  for (const groupSize of [128, 64, 32]) {
    const group = `g${groupSize}`;
    const formats: Readonly<Record<string, unknown>> = {
      autoawq_gemm: awq("gemm", groupSize),
      autoawq_gemv: awq("gemv", groupSize),
      autoawq_gemv_fast: awq("gemv_fast", groupSize),
      gptq_v1: gptq("gptq", groupSize),
      gptq_v2: gptq("gptq_v2", groupSize),
      ct_asym: compressed(false, groupSize),
      llm_awq_v2: null,
    };
    const guessed = ["autoawq_gemm", "autoawq_gemv", "autoawq_gemv_fast", "gptq_v1", "llm_awq_v2"];
    for (const [format, config] of Object.entries(formats)) {
      for (const isGuessed of guessed.includes(format) ? [true, false] : [false]) {
        if (config === null && !isGuessed) continue;
        it(`${group}.${format}${isGuessed ? ", told from its tensors" : ""}`, () => {
          const warnings: string[] = [];
          const source = read(renamed(all, `${group}.${format}`, LAYER), isGuessed ? null : config, warnings);
          const weight = int4(source);
          expect(weight.shape).toEqual(matrixShape(all, `${group}.q`));
          expect(source.info(`${LAYER}.weight`)).toEqual({ dtype: "f32", shape: weight.shape });
          expect(weight.groupSize).toBe(groupSize);
          expectSame("codes", unpackNibbles(weight.codes), all.data(`${group}.q`) as Uint8Array);
          expectSame("scales", weight.scales, floats(all, `${group}.scale`));
          expectSame("zeros", weight.zeros, all.data(`${group}.zero`) as Uint8Array);
          expectSame("values", dequantize(weight), floats(all, `${group}.dequant`));
          expectSame("data", source.data(`${LAYER}.weight`) as Float32Array, floats(all, `${group}.dequant`));
          const left = [...source.names];
          expect(left.sort()).toEqual(
            left.includes(`${LAYER}.bias`) ? [`${LAYER}.bias`, `${LAYER}.weight`] : [`${LAYER}.weight`],
          );
          expect(warnings).toEqual([]);
        });
      }
    }

    it(`${group}.ct_sym`, () => {
      const weight = int4(read(renamed(all, `${group}.ct_sym`, LAYER), compressed(true, groupSize)));
      expect(new Set(weight.zeros)).toEqual(new Set([8]));
      expectSame("values", dequantize(weight), floats(all, `${group}.ct_sym.expected`));
    });

    it(`${group}.ct_sym_g_idx: scattered columns stay exact as halves`, () => {
      const warnings: string[] = [];
      const source = read(renamed(all, `${group}.ct_sym_g_idx`, LAYER), compressed(true, groupSize), warnings);
      expectDenseOrExact(source, floats(all, `${group}.ct_sym_g_idx.expected`), warnings);
    });

    it(`${group}.gptq_v1_desc_act: scattered columns stay exact as halves`, () => {
      const warnings: string[] = [];
      const source = read(renamed(all, `${group}.gptq_v1_desc_act`, LAYER), gptq("gptq", groupSize), warnings);
      const q = all.data(`${group}.gptq_v1_desc_act.expected_q`) as Uint8Array;
      const zero = all.data(`${group}.gptq_v1_desc_act.expected_zero`) as Uint8Array;
      const index = all.data(`${group}.gptq_v1_desc_act.g_idx`) as Int32Array;
      const [N, K] = matrixShape(all, `${group}.gptq_v1_desc_act.expected_q`);
      const G = zero.length / N;
      const scales = floats(all, `${group}.gptq_v1_desc_act.scales`); // [G, N]
      const expected = Float32Array.from(q, (code, i) => {
        const [n, g] = [Math.floor(i / K), index[i % K]];
        return (code - zero[n * G + g]) * scales[g * N + n];
      });
      expectSame("exact values", expected, float64s(all, `${group}.gptq_v1_desc_act.expected`));
      expectDenseOrExact(source, expected, warnings);
    });
  }

  it("ragged.llm_awq_v2: padded rows of scales", () => {
    const weight = int4(read(renamed(all, "ragged.llm_awq_v2", LAYER), null));
    expectSame("codes", unpackNibbles(weight.codes), all.data("ragged.q") as Uint8Array);
    expectSame("scales", weight.scales, floats(all, "ragged.scale"));
    expectSame("zeros", weight.zeros, all.data("ragged.zero") as Uint8Array);
  });

  it("ct_channel_padded: one group per row, padding in both directions", () => {
    const weight = int4(read(renamed(all, "ct_channel_padded", LAYER), compressed(false, null)));
    expect(weight.shape).toEqual([13, 60]);
    expectSame("values", dequantize(weight), floats(all, "ct_channel_padded.expected"));
  });
});

/** Values of an F64 tensor, which sources do not give. */
function float64s(source: SafetensorsTensors, name: string): Float64Array {
  const stored = source.stored(name);
  if (!stored) throw new Error(`golden tensor "${name}" is missing`);
  const { byteOffset, byteLength } = stored;
  return new Float64Array(new Uint8Array(readFileSync(source.label)).slice(byteOffset, byteOffset + byteLength).buffer);
}

/** The wrapper's own matrix: exact in the canonical form, otherwise rounded once to halves and announced by a warning. */
function expectDenseOrExact(source: TensorSource, expected: Float32Array, warnings: readonly string[]): void {
  const name = `${LAYER}.weight`;
  expect(source.quantized?.(name)).toBeNull();
  expect(source.info(name)?.dtype).toBe("f16");
  expectSame("halves", floats(source, name), expected.map(roundToF16));
  expect(warnings).toHaveLength(1);
}

describeGolden("the four writers of one model", (dir) => {
  const root = "quantisation/awq_gqa";
  const expected = openSafetensors(join(dir, root, "expected_disk.safetensors"));
  const layers = expected.names.filter((name) => name.endsWith(".q4")).map((name) => name.slice(0, -".q4".length));
  for (const folder of ["autoawq_gemm", "gptq", "compressed_tensors"]) {
    it(`${folder}: codes, scales and zeros of ${layers.length} layers`, () => {
      const config = readGoldenJson<{ quantization_config: unknown }>(dir, `${root}/${folder}/config.json`);
      const source = read(openSafetensors(join(dir, root, folder, "model.safetensors")), config.quantization_config);
      for (const layer of layers) expectDisk(int4(source, `${layer}.weight`), expected, layer);
      const shown = source.names.filter((name) => /\.(qweight|qzeros|scales|g_idx|weight_\w+)$/.test(name));
      expect(shown).toEqual([]);
    });
  }
});

function expectDisk(weight: Int4Weight, expected: TensorSource, layer: string): void {
  expectSame(`${layer} codes`, weight.codes, expected.data(`${layer}.q4`) as Uint8Array);
  expectSame(`${layer} scales`, weight.scales, floats(expected, `${layer}.scale`));
  expectSame(`${layer} zeros`, weight.zeros, expected.data(`${layer}.zero`) as Uint8Array);
  if (!expected.info(`${layer}.dequant_rows_0_32`)) return;
  const rows = floats(expected, `${layer}.dequant_rows_0_32`);
  expectSame(`${layer} values`, dequantize(weight).subarray(0, rows.length), rows);
}

describe("the published vectors of packing", () => {
  // q[n, k] = (5n + 3k + ⌊n·k / 7⌋) mod 16 with N 8, K 64; first words and CRC-32 as in the specification of the formats.
  const [N, K] = [8, 64];
  const q = Uint8Array.from({ length: N * K }, (_, i) => {
    const [n, k] = [Math.floor(i / K), i % K];
    return (5 * n + 3 * k + Math.floor((n * k) / 7)) % 16;
  });
  const pack = (
    count: number,
    place: (n: number, k: number) => readonly [word: number, nibble: number],
  ): Int32Array => {
    const words = new Int32Array(count);
    q.forEach((code, i) => {
      const [word, nibble] = place(Math.floor(i / K), i % K);
      words[word] |= code << (4 * nibble);
    });
    return words;
  };
  const sequential = pack(64, (n, k) => [n * 8 + (k >> 3), k & 7]);
  const gemm = pack(64, (n, k) => [k, [0, 4, 1, 5, 2, 6, 3, 7][n]]);
  const gptqWords = pack(64, (n, k) => [(k >> 3) * N + n, k & 7]);
  const v2 = (() => {
    const words = new Int16Array(2 * K);
    q.forEach((code, i) => {
      const [n, k] = [Math.floor(i / K), i % K];
      const [h, u] = [k >> 5, k & 31];
      const place = (n & 3) * 64 + h * 32 + ((u >> 1) & 3) * 8 + (u & 1) * 4 + (u >> 3);
      words[(n >> 2) * K + (place >> 2)] |= code << (4 * (place & 3));
    });
    return words;
  })();
  const ones = (shape: readonly number[]): MemoryTensor => ({
    dtype: "f32",
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1),
  });
  const zeros = (dtype: "i32" | "f32", shape: readonly number[]): MemoryTensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    return { dtype, shape, data: dtype === "i32" ? new Int32Array(count) : new Float32Array(count) };
  };
  const sizes = { dtype: "i64", shape: [2], data: Int32Array.of(N, 0, K, 0) } as const;
  const cases: Readonly<
    Record<
      string,
      {
        words: Int32Array | Int16Array;
        crc: number;
        first: readonly number[];
        config: unknown;
        parts: Record<string, MemoryTensor>;
      }
    >
  > = {
    "llm-awq v2": {
      words: v2,
      crc: 0xd03dbc9b,
      first: [0x8080, 0xb3b3, 0xe6e6, 0x1919, 0x4c4c, 0x7f7f],
      config: null,
      parts: {
        qweight: { dtype: "i16", shape: [2, 64], data: v2 },
        scales: ones([8, 8]),
        scaled_zeros: zeros("f32", [8, 8]),
      },
    },
    "AutoAWQ gemv": {
      words: sequential,
      crc: 0xdcfa96b9,
      first: [0x52fc9630, 0xda741eb8, 0x52fc9630, 0xda741eb8],
      config: awq("gemv", 64),
      parts: {
        qweight: { dtype: "i32", shape: [8, 8], data: sequential },
        scales: ones([8, 16]),
        qzeros: zeros("i32", [8, 2]),
      },
    },
    "AutoAWQ gemm": {
      words: gemm,
      crc: 0x5f7806bc,
      first: [0x39f5e4a0, 0x7c2817d3, 0xb05b5b06, 0xf49e9e39],
      config: awq("gemm", 64),
      parts: {
        qweight: { dtype: "i32", shape: [64, 1], data: gemm },
        scales: ones([1, 8]),
        qzeros: zeros("i32", [1, 1]),
      },
    },
    "GPTQ v2": {
      words: gptqWords,
      crc: 0x9cc003c7,
      first: [0x52fc9630, 0xb741eb85, 0x1da730da, 0x730c952f],
      config: gptq("gptq_v2", 64),
      parts: {
        qweight: { dtype: "i32", shape: [8, 8], data: gptqWords },
        scales: ones([1, 8]),
        qzeros: zeros("i32", [1, 1]),
      },
    },
    "compressed-tensors": {
      words: sequential,
      crc: 0xdcfa96b9,
      first: [0x52fc9630],
      config: compressed(true, 64),
      parts: {
        weight_packed: { dtype: "i32", shape: [8, 8], data: sequential },
        weight_scale: ones([8, 1]),
        weight_shape: sizes,
      },
    },
  };
  for (const [name, { words, crc, first, config, parts }] of Object.entries(cases)) {
    it(name, () => {
      const mask = words instanceof Int16Array ? 0xffff : 0xffffffff;
      expect([...words.subarray(0, first.length)].map((word) => (word & mask) >>> 0)).toEqual(first);
      expect(crc32(bytes(words))).toBe(crc);
      // Scales of one in v2 go with offsets of zero, elsewhere with zero points of zero: groups of 64 except in v2, which tells 32 to 128 by padding.
      const groups =
        name === "llm-awq v2" ? { ...parts, scales: ones([16, 8]), scaled_zeros: zeros("f32", [16, 8]) } : parts;
      const source = new MemorySource(
        Object.fromEntries(Object.entries(groups).map(([part, tensor]) => [`${LAYER}.${part}`, tensor])),
      );
      expectSame("codes", unpackNibbles(codesOf(read(source, config).quantized?.(`${LAYER}.weight`) ?? null)), q);
    });
  }
});

function codesOf(weight: QuantizedWeight | null): Uint8Array {
  if (weight?.format !== "int4") throw new Error("not int4");
  return weight.codes;
}

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
