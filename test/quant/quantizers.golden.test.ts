/** The quantisers against what the original functions gave: exact codes, scales and zero points. */
import { describe, expect, it } from "vitest";
import { dequantize } from "../../src/core/quantized-weight.ts";
import { quantizeActivations } from "../../src/quant/activation-int8.ts";
import { quantizeInt4 } from "../../src/quant/int4-quantizer.ts";
import { quantizeInt8Weight } from "../../src/quant/int8-weight-quantizer.ts";
import { quantizeKv } from "../../src/quant/kv-int8.ts";
import { roundScale } from "../../src/quant/rounding.ts";
import {
  SIGLIP_ALPHA,
  SIGLIP_SMOOTH_GROUPS,
  smoothedColumns,
  smoothedNorm,
  smoothingScales,
} from "../../src/quant/smoothing.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { goldenTensors } from "../models/golden-tensors.ts";
import {
  expectRelative,
  expectSame,
  floats,
  matrixShape,
  relativeError,
  shapeOf,
  unpackNibbles,
} from "./golden-arrays.ts";

const ROOT = "quantisation";

describeGolden("int4 groups against pseudo_quantize_tensor", (dir) => {
  const source = goldenTensors(dir, `${ROOT}/pseudo_quant/pseudo_quant.safetensors`);
  const { cases } = readGoldenJson<{ cases: Record<string, { group: number }> }>(
    dir,
    `${ROOT}/pseudo_quant/pseudo_quant.json`,
  );
  for (const [name, { group }] of Object.entries(cases)) {
    it(`${name} exactly`, () => {
      const input = `${name.split(".")[0]}.w`;
      const weight = quantizeInt4(floats(source, input), matrixShape(source, input), { groupSize: group });
      expectSame("scale", weight.scales, floats(source, `${name}.scale`));
      expectSame("zero", weight.zeros, source.data(`${name}.zero`) as Uint8Array);
      expectSame("code", unpackNibbles(weight.codes), source.data(`${name}.q`) as Uint8Array);
      if (source.info(`${name}.w_hat`)) expectSame("value", dequantize(weight), floats(source, `${name}.w_hat`));
    });
  }
});

describe("int4 options", () => {
  const w = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i * i) * (1 + (i % 7)));

  it("without zero points use −8 … 7 of 7.5 steps", () => {
    const weight = quantizeInt4(w, [2, 128], { groupSize: 32, isSymmetric: true });
    expect(new Set(weight.zeros)).toEqual(new Set([8]));
    const amax = Math.max(...w.subarray(0, 32).map(Math.abs));
    expect(weight.scales[0]).toBe(Math.fround(amax / 7.5));
    const values = dequantize(weight);
    w.forEach((value, i) => {
      expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(weight.scales[Math.floor(i / 32)] * 0.5001);
    });
  });

  it.each(["f16", "bf16"] as const)("with %s scales: codes follow the rounded scale", (scaleDType) => {
    const weight = quantizeInt4(w, [2, 128], { groupSize: 64, scaleDType });
    const exact = quantizeInt4(w, [2, 128], { groupSize: 64 });
    weight.scales.forEach((scale, g) => {
      expect(scale).toBe(roundScale(exact.scales[g], scaleDType));
    });
    const values = dequantize(weight);
    w.forEach((value, i) => {
      expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(weight.scales[Math.floor(i / 64)] * 0.56);
    });
  });
});

describeGolden("int8 activations against quantize_activation_per_token_absmax", (dir) => {
  const source = goldenTensors(dir, `${ROOT}/act_int8/act_int8.safetensors`);
  const { rows } = readGoldenJson<{ rows: string[] }>(dir, `${ROOT}/act_int8/act_int8.json`);
  const x = floats(source, "x");
  const shape = matrixShape(source, "x");

  it(`divides: ${rows.length} rows exactly`, () => {
    const { codes, scales } = quantizeActivations(x, shape);
    expectSame("q", codes, source.data("q") as Int8Array);
    expectSame("scale", scales, floats(source, "scale"));
    expectSame(
      "scale_f16",
      scales.map((s) => roundScale(s, "f16")),
      floats(source, "scale_f16"),
    );
    expectSame("dequant", dequantRows(codes, scales, shape[1]), floats(source, "dequant"));
  });

  it("floors amax as the original does", () => {
    const { codes, scales } = quantizeActivations(x, shape, { floor: true });
    expectSame("clamped_q", codes, source.data("clamped_q") as Int8Array);
    expectSame("clamped_scale", scales, floats(source, "clamped_scale"));
    expectSame("clamped_dequant", dequantRows(codes, scales, shape[1]), floats(source, "clamped_dequant"));
  });

  it("multiplies by the reciprocal as the original's CUDA code does", () => {
    const { codes } = quantizeActivations(x, shape, { reciprocal: true });
    expectSame("reciprocal_q", codes, source.data("reciprocal_q") as Int8Array);
  });
});

describeGolden("int8 keys and values", (dir) => {
  const source = goldenTensors(dir, `${ROOT}/kv_int8/kv_int8.safetensors`);
  for (const name of ["a.k", "a.v", "b.k", "b.v", "c.k", "c.v"]) {
    it(`${name} exactly, with f32 and f16 scales`, () => {
      const [T, Hkv, D] = shapeOf(source, name);
      const x = floats(source, name);
      const full = quantizeKv(x, [T, Hkv, D]);
      expectSame("q", full.codes, source.data(`${name}_q`) as Int8Array);
      expectSame("scale", full.scales, floats(source, `${name}_scale_f32`));
      expectSame("dequant", dequantRows(full.codes, full.scales, D), floats(source, `${name}_dequant`));
      const half = quantizeKv(x, [T, Hkv, D], "f16");
      expectSame("q_f16scale", half.codes, source.data(`${name}_q_f16scale`) as Int8Array);
      expectSame("scale_f16", half.scales, floats(source, `${name}_scale_f16`));
      // The golden file multiplies the codes of the f32 scales by the rounded scales.
      expectSame(
        "dequant_f16scale",
        dequantRows(full.codes, half.scales, D),
        floats(source, `${name}_dequant_f16scale`),
      );
    });
  }
});

describeGolden("W8A8 of a SigLIP tower", (dir) => {
  const model = goldenTensors(dir, `${ROOT}/w8a8_siglip/model.safetensors`);
  const golden = goldenTensors(dir, `${ROOT}/w8a8_siglip/golden.safetensors`);
  const int8 = goldenTensors(dir, `${ROOT}/w8a8_siglip/int8_weights.safetensors`);
  const { layers } = readGoldenJson<{ layers: number }>(dir, `${ROOT}/w8a8_siglip/golden.json`);

  for (let i = 0; i < layers; i++) {
    const layer = `vision_model.encoder.layers.${i}`;
    for (const { norm, linears } of SIGLIP_SMOOTH_GROUPS) {
      const matrices = linears.map((name) => ({
        values: floats(model, `${layer}.${name}.weight`),
        rows: matrixShape(model, `${layer}.${name}.weight`)[0],
      }));
      const scales = smoothingScales(floats(golden, `act_max.${layer}.${linears[0]}`), matrices, SIGLIP_ALPHA);

      it(`smooths ${layer}.${norm}`, () => {
        expectRelative("scales", scales, floats(golden, `smooth.${layer}.${norm}`), 1e-5);
        for (const part of ["weight", "bias"]) {
          const folded = smoothedNorm(floats(model, `${layer}.${norm}.${part}`), scales);
          expectRelative(part, folded, floats(golden, `smoothed.${layer}.${norm}.${part}`), 1e-5);
        }
      });
    }

    it(`quantises the smoothed weights of ${layer}`, () => {
      const smoothed = (names: readonly string[], norm: string): Float32Array => {
        const all = names.flatMap((name) => [
          ...smoothedColumns(floats(model, `${layer}.${name}.weight`), floats(golden, `smooth.${layer}.${norm}`)),
        ]);
        return Float32Array.from(all);
      };
      const weights: Readonly<Record<string, Float32Array>> = {
        qkv: smoothed(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], "layer_norm1"),
        fc1: smoothed(["mlp.fc1"], "layer_norm2"),
        out_proj: floats(model, `${layer}.self_attn.out_proj.weight`),
        fc2: floats(model, `${layer}.mlp.fc2.weight`),
      };
      for (const [name, values] of Object.entries(weights)) {
        const weight = quantizeInt8Weight(values, matrixShape(int8, `${layer}.${name}.weight_int8`));
        expectSame(`${name} codes`, weight.codes, int8.data(`${layer}.${name}.weight_int8`) as Int8Array);
        expectSame(`${name} scales`, weight.scales, floats(int8, `${layer}.${name}.scale_f32`));
        expectSame(
          `${name} f16 scales`,
          weight.scales.map((s) => roundScale(s, "f16")),
          floats(int8, `${layer}.${name}.scale_f16`),
        );
        expect(relativeError(dequantize(weight), values)).toBeLessThan(0.03);
      }
    });
  }
});

describeGolden("int8 products", (dir) => {
  const source = goldenTensors(dir, `${ROOT}/int8_gemm/int8_gemm.safetensors`);
  const { cases } = readGoldenJson<{ cases: string[] }>(dir, `${ROOT}/int8_gemm/int8_gemm.json`);
  for (const name of cases) {
    it(`${name}: plain int32 sums`, () => {
      const [M, K] = matrixShape(source, `${name}.a`);
      const [N] = matrixShape(source, `${name}.b`);
      const a = source.data(`${name}.a`) as Int8Array;
      const b = source.data(`${name}.b`) as Int8Array;
      const acc = Int32Array.from({ length: M * N }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += a[Math.floor(i / N) * K + k] * b[(i % N) * K + k];
        return sum;
      });
      expectSame("acc", acc, source.data(`${name}.acc`) as Int32Array);
    });
  }
});

/** codes[row, column] · scales[row] as f32. */
function dequantRows(codes: Int8Array, scales: Float32Array, columns: number): Float32Array {
  return Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / columns)]);
}
