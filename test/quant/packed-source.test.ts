/** Packed checkpoints that are wrong: every lie about shapes, parts and formats is named before anything is computed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DType, HostArray } from "../../src/core/dtype.ts";
import { assertQuantizedWeight, dequantize } from "../../src/core/quantized-weight.ts";
import { elementCount } from "../../src/core/shape.ts";
import { unpackedSource } from "../../src/quant/packed-source.ts";
import { NvilaError } from "../../src/util/errors.ts";
import { f32ToF16 } from "../../src/util/half.ts";
import { ODD_VALUES, placesIn, valueOrNvilaError, withValueAt } from "../checkpoint/hostile.ts";
import { MemorySource, type MemoryTensor } from "./memory-source.ts";

function zeros(dtype: DType, shape: readonly number[]): MemoryTensor {
  const count = elementCount(shape);
  const data: Record<DType, () => HostArray> = {
    f32: () => new Float32Array(count).fill(0.5),
    bf16: () => new Uint16Array(count).fill(0x3f00),
    f16: () => new Uint16Array(count).fill(f32ToF16(0.5)),
    i32: () => new Int32Array(count),
    i64: () => new Int32Array(2 * count),
    u8: () => new Uint8Array(count),
    i8: () => new Int8Array(count),
    i16: () => new Int16Array(count),
  };
  return { dtype, shape, data: data[dtype]() };
}

type Tensors = Record<string, MemoryTensor>;

const [N, K, G] = [16, 128, 4];
const awq = { quant_method: "awq", bits: 4, group_size: 32, zero_point: true, version: "gemm" };
const gptq = { quant_method: "gptq", bits: 4, group_size: 32, desc_act: false, checkpoint_format: "gptq" };
const weights4 = { num_bits: 4, type: "int", symmetric: false, strategy: "group", group_size: 32, dynamic: false };
const weights8 = { num_bits: 8, type: "int", symmetric: true, strategy: "channel", group_size: null, dynamic: false };
const inputs8 = { num_bits: 8, type: "int", symmetric: true, strategy: "token", dynamic: true };
const compressed = {
  quant_method: "compressed-tensors",
  format: "mixed-precision",
  kv_cache_scheme: null,
  config_groups: {
    a: { targets: ["Linear"], weights: weights4, input_activations: null, format: "pack-quantized" },
    b: { targets: ["lm_head"], weights: weights8, input_activations: inputs8, format: "int-quantized" },
  },
  ignore: [],
};
const sizes = (n: number, k: number): MemoryTensor => ({ dtype: "i64", shape: [2], data: Int32Array.of(n, 0, k, 0) });

/** One right layer of every format, and its description. */
const FORMATS: Readonly<Record<string, { config: unknown; tensors: Tensors }>> = {
  "AutoAWQ gemm": {
    config: awq,
    tensors: {
      "x.qweight": zeros("i32", [K, N / 8]),
      "x.qzeros": zeros("i32", [G, N / 8]),
      "x.scales": zeros("f16", [G, N]),
    },
  },
  "AutoAWQ gemv": {
    config: { ...awq, version: "gemv" },
    tensors: {
      "x.qweight": zeros("i32", [N, K / 8]),
      "x.qzeros": zeros("i32", [N, 4]),
      "x.scales": zeros("f16", [N, 32]),
    },
  },
  "llm-awq v2": {
    config: null,
    tensors: {
      "x.qweight": zeros("i16", [N / 4, K]),
      "x.scaled_zeros": { ...zeros("f16", [32, N]), data: new Uint16Array(32 * N) },
      "x.scales": zeros("f16", [32, N]),
    },
  },
  GPTQ: {
    config: gptq,
    tensors: {
      "x.qweight": zeros("i32", [K / 8, N]),
      "x.qzeros": zeros("i32", [G, N / 8]),
      "x.scales": zeros("f16", [G, N]),
      "x.g_idx": { dtype: "i32", shape: [K], data: Int32Array.from({ length: K }, (_, k) => Math.floor(k / 32)) },
    },
  },
  "compressed-tensors": {
    config: compressed,
    tensors: {
      "x.weight_packed": zeros("i32", [N, K / 8]),
      "x.weight_scale": zeros("bf16", [N, G]),
      "x.weight_zero_point": zeros("i32", [N / 8, G]),
      "x.weight_shape": sizes(N, K),
      "y.weight": zeros("i8", [N, K]),
      "y.weight_scale": zeros("f32", [N, 1]),
    },
  },
};

function open(tensors: Tensors, config: unknown, warnings: string[] = []) {
  return unpackedSource(new MemorySource(tensors), {
    config: config === null ? {} : { quantization_config: config },
    configLabel: "config.json",
    onWarning: (message) => warnings.push(message),
  });
}

/** Reads everything that a model could ask for. */
function readAll(tensors: Tensors, config: unknown): number {
  const source = open(tensors, config);
  let read = 0;
  for (const name of source.names) {
    const info = source.info(name);
    const weight = source.quantized?.(name);
    if (weight) {
      assertQuantizedWeight(weight);
      expect(weight.shape).toEqual(info?.shape);
      dequantize(weight);
      read++;
    } else if (info) expect(source.data(name).length).toBe(elementCount(info.shape) * (info.dtype === "i64" ? 2 : 1));
  }
  return read;
}

describe.each(Object.entries(FORMATS))("%s", (_, { config, tensors }) => {
  it("is read", () => {
    expect(readAll(tensors, config)).toBe("y.weight" in tensors ? 2 : 1);
  });

  it("without one of its parts is refused, and that part named", () => {
    for (const name of Object.keys(tensors)) {
      if (/g_idx|zero_point/.test(name)) continue; // these may be absent
      const { [name]: _removed, ...rest } = tensors;
      const result = valueOrNvilaError(() => readAll(rest, config));
      if (name === "y.weight_scale") continue; // what is left is an int8 matrix that no model takes
      expect(result, name).toBeInstanceOf(NvilaError);
      expect((result as NvilaError).message).toMatch(/is missing|no tensor of|packed in a way/);
    }
  });

  it("with any part of another shape or dtype gives an error or a matrix of that shape", () => {
    const names = Object.keys(tensors);
    const dtypes: readonly DType[] = ["f32", "f16", "bf16", "i32", "i8", "i16", "u8", "i64"];
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.option(fc.constantFrom(...dtypes)),
        fc.array(fc.constantFrom(0, 1, 2, 3, 4, 8, 16, 32, 33, 128, 136), { maxLength: 3 }),
        fc.boolean(),
        (name, dtype, shape, keepsShape) => {
          const old = tensors[name];
          const changed = zeros(dtype ?? old.dtype, keepsShape ? old.shape : shape);
          valueOrNvilaError(() => readAll({ ...tensors, [name]: changed }, config));
        },
      ),
      { numRuns: 250, seed: 3 },
    );
  });

  it("with scales that are not finite is refused", () => {
    for (const [name, tensor] of Object.entries(tensors)) {
      if (!/scales$|weight_scale$/.test(name)) continue;
      const data = tensor.data.slice();
      data[1] = tensor.dtype === "f32" ? Number.NaN : 0x7fff;
      expect(() => readAll({ ...tensors, [name]: { ...tensor, data } }, config)).toThrow(/not finite/);
    }
  });

  it("with any odd value in its description gives an error or its matrices", () => {
    if (config === null) return expect(FORMATS["llm-awq v2"].config).toBeNull();
    for (const place of placesIn(config)) {
      for (const value of [...ODD_VALUES, undefined, 4, 8, 64, "gemv", "gptq_v2", "marlin", "bitsandbytes", "fp8"]) {
        valueOrNvilaError(() => readAll(tensors, withValueAt(config, place, value)));
      }
    }
  });
});

describe("mixed and unknown formats", () => {
  const gemm = FORMATS["AutoAWQ gemm"].tensors;
  const renamed = (tensors: Tensors, layer: string): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name.replace(/^x/, layer), tensor]));

  it.each<[string, Tensors, unknown, RegExp]>([
    [
      "two formats in one model",
      { ...gemm, ...renamed(FORMATS["compressed-tensors"].tensors, "z") },
      awq,
      /mixed formats are not read/,
    ],
    [
      "a layer that is packed and dense",
      { ...gemm, "x.weight": zeros("f16", [N, K]) },
      awq,
      /is there twice: packed \(AutoAWQ gemm\) and dense/,
    ],
    ["parts of another format", FORMATS.GPTQ.tensors, awq, /expected|do not divide/],
    [
      "packed weights without a description",
      FORMATS["compressed-tensors"].tensors,
      null,
      /quantization_config in config\.json is missing/,
    ],
    [
      "a packed layer of no known shape",
      { "x.qweight": zeros("i32", [5, 7]), "x.scales": zeros("f16", [3, 9]) },
      null,
      /packed in a way that is not known/,
    ],
    [
      "another method",
      gemm,
      { quant_method: "bitsandbytes" },
      /quant_method "bitsandbytes" is not read.*nvila quantize/,
    ],
    ["another width", gemm, { ...awq, bits: 3 }, /bits 3 is not read/],
    ["another kernel's layout", gemm, { ...awq, version: "marlin" }, /version "marlin"/],
    ["groups that do not divide", gemm, { ...awq, group_size: 48 }, /groups of 48 do not divide 128 inputs/],
    [
      "other groups than the scales have",
      gemm,
      { ...awq, group_size: 64 },
      /scales has shape \[4, 16\], expected \[2, 16\]/,
    ],
    ["8 bits in GPTQ", FORMATS.GPTQ.tensors, { ...gptq, bits: 8 }, /bits 8/],
    [
      "a cache scheme",
      FORMATS["compressed-tensors"].tensors,
      { ...compressed, kv_cache_scheme: {} },
      /kv_cache_scheme/,
    ],
    [
      "no groups",
      FORMATS["compressed-tensors"].tensors,
      { ...compressed, config_groups: {} },
      /expected config_groups/,
    ],
    [
      "floats of 8 bits",
      FORMATS["compressed-tensors"].tensors,
      { ...compressed, config_groups: { a: { weights: { ...weights8, type: "float" } } } },
      /weights\.type "float"/,
    ],
    [
      "static activations",
      FORMATS["compressed-tensors"].tensors,
      {
        ...compressed,
        config_groups: {
          a: { format: "int-quantized", weights: weights8, input_activations: { ...inputs8, dynamic: false } },
        },
      },
      /input_activations/,
    ],
    [
      "zero points that were not announced",
      FORMATS["compressed-tensors"].tensors,
      {
        ...compressed,
        config_groups: {
          ...compressed.config_groups,
          a: { ...compressed.config_groups.a, weights: { ...weights4, symmetric: true } },
        },
      },
      /with zero points, is none of what/,
    ],
    ["a description that is no object", gemm, "awq", /expected an object quantization_config/],
  ])("%s", (_, tensors, config, message) => {
    expect(() => readAll(tensors, config)).toThrow(NvilaError);
    expect(() => readAll(tensors, config)).toThrow(message);
  });

  it("reads the description that older tools wrote", () => {
    const read = (quantConfig: unknown, tensors: Tensors) =>
      unpackedSource(new MemorySource(tensors), { config: {}, quantConfig, configLabel: "quant_config.json" });
    const old = { zero_point: true, q_group_size: 32, w_bit: 4, version: "GEMM" };
    expect(read(old, gemm).quantized?.("x.weight")?.shape).toEqual([N, K]);
    const gptqOld = { bits: 4, group_size: 32, desc_act: true, sym: false };
    expect(read(gptqOld, FORMATS.GPTQ.tensors).quantized?.("x.weight")?.shape).toEqual([N, K]);
    expect(() => read({ something: 1 }, gemm)).toThrow(/is not read/);
  });

  it("passes a source through when nothing in it is packed", () => {
    const dense = new MemorySource({ "x.weight": zeros("f16", [N, K]) });
    expect(unpackedSource(dense, { config: { quantization_config: awq }, configLabel: "c" })).toBe(dense);
    expect(unpackedSource(dense, { config: {}, configLabel: "c" })).toBe(dense);
  });
});

describe("group indices", () => {
  const { tensors } = FORMATS.GPTQ;
  const index = (data: (k: number) => number): Tensors => ({
    ...tensors,
    "x.g_idx": { dtype: "i32", shape: [K], data: Int32Array.from({ length: K }, (_, k) => data(k)) },
    "x.scales": {
      ...tensors["x.scales"],
      data: Uint16Array.from({ length: G * N }, (_, i) => f32ToF16(1 + Math.floor(i / N))),
    },
  });

  it("that permute whole groups stay int4", () => {
    const warnings: string[] = [];
    const weight = open(
      index((k) => 3 - Math.floor(k / 32)),
      gptq,
      warnings,
    ).quantized?.("x.weight");
    if (weight?.format !== "int4") throw new Error("not int4");
    expect([...weight.scales.subarray(0, 4)]).toEqual([4, 3, 2, 1]);
    expect(warnings).toEqual([]);
  });

  it("that share whole runs of a kernel's size stay int4 in smaller groups", () => {
    const two = { ...gptq, group_size: 64 };
    const tensors64 = {
      ...index((k) => Math.floor(k / 32) % 2),
      "x.qzeros": zeros("i32", [2, N / 8]),
      "x.scales": {
        dtype: "f16",
        shape: [2, N],
        data: Uint16Array.from({ length: 2 * N }, (_, i) => f32ToF16(1 + Math.floor(i / N))),
      } as const,
    };
    const weight = open(tensors64, two).quantized?.("x.weight");
    if (weight?.format !== "int4") throw new Error("not int4");
    expect(weight.groupSize).toBe(32);
    expect([...weight.scales.subarray(0, 4)]).toEqual([1, 2, 1, 2]);
  });

  it("that leave the groups are refused", () => {
    expect(() =>
      readAll(
        index((k) => (k === 5 ? 4 : 0)),
        gptq,
      ),
    ).toThrow(/group 4 for column 5, expected 0 … 3/);
    expect(() =>
      readAll(
        index((k) => (k === 5 ? -1 : 0)),
        gptq,
      ),
    ).toThrow(/group -1/);
  });

  it("of scattered columns make the layer dense, with one warning", () => {
    const warnings: string[] = [];
    const source = open(
      index((k) => k % 4),
      gptq,
      warnings,
    );
    expect(source.quantized?.("x.weight")).toBeNull();
    expect(source.info("x.weight")).toEqual({ dtype: "f16", shape: [N, K] });
    expect(source.stored("x.weight")?.storedDType).toBe("INT4");
    // Codes 0, v1 zeros 1: −scale of the column's group.
    expect([...(source.data("x.weight") as Uint16Array).subarray(0, 4)]).toEqual([-1, -2, -3, -4].map(f32ToF16));
    expect(warnings).toHaveLength(1);
  });
});

describe("llm-awq v2 zero points", () => {
  const { tensors } = FORMATS["llm-awq v2"];
  const withOffset = (value: number): Tensors => ({
    ...tensors,
    "x.scaled_zeros": { dtype: "f16", shape: [32, N], data: new Uint16Array(32 * N).fill(f32ToF16(value)) },
  });

  it("are recovered from the product", () => {
    const weight = open(withOffset(-3.5), null).quantized?.("x.weight");
    if (weight?.format !== "int4") throw new Error("not int4");
    expect(new Set(weight.zeros)).toEqual(new Set([7]));
  });

  it.each([-3.7, 0.5, -8])("that are no integer of 0 … 15 make the layer dense: %d", (value) => {
    const warnings: string[] = [];
    const source = open(withOffset(value), null, warnings);
    expect(source.quantized?.("x.weight")).toBeNull();
    expect([...new Set(source.data("x.weight") as Uint16Array)]).toEqual([f32ToF16(value)]);
    expect(warnings).toHaveLength(1);
  });
});
