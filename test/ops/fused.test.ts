/** Fused operations against the separate ones on the same backend: the same bits, in any order of calls, with every number of threads. */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import type { QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { gatedLinear, geluLinear, layerNormLinear } from "../../src/tensor/fused-ops.ts";
import * as ops from "../../src/tensor/ops.ts";
import { PackedTensor } from "../../src/tensor/packed-tensor.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { noiseSource } from "./inputs.ts";
import { int4Weight, int8Weight } from "./packed-cases.ts";

function noise(backend: Backend, shape: readonly number[], seed: number): Tensor {
  const next = noiseSource(seed);
  const length = shape.reduce((product, size) => product * size, 1);
  return Tensor.from(
    backend,
    "f32",
    Float32Array.from({ length }, () => 3 * next()),
    shape,
  );
}

const backends: readonly (readonly [name: string, backends: readonly Backend[] | string])[] = [
  ["reference", [new ReferenceBackend()]],
  ...INSTRUCTION_SETS.map((isa) => [`cpu ${isa}`, cpuBackends(isa)] as const),
];

describe.each(backends)("fused operations on %s", (_, list) => {
  it.skipIf(typeof list === "string")("give the bits of the separate ones", async () => {
    for (const backend of typeof list === "string" ? [] : list) {
      for (const [T, C] of [
        [1, 64],
        [5, 1000],
        [70, 96],
      ]) {
        const weights: QuantizedWeight[] = [int8Weight([24, C]), int8Weight([19, C])];
        if (C % 32 === 0) weights.push(int4Weight([24, C], 32));
        const x = noise(backend, [T, C], T);
        const norms = [1, 2].map((seed) => ({
          weight: noise(backend, [C], seed),
          bias: noise(backend, [C], seed + 7),
          eps: 1e-6,
        }));
        for (const weight of weights.map((w) => PackedTensor.from(backend, w))) {
          const bias = noise(backend, [weight.shape[0]], 5);
          for (const norm of norms) {
            const y = ops.layerNorm(x, norm.weight, norm.bias, norm.eps);
            const expected = await ops.linear(y, weight, bias).readF32();
            expect(await layerNormLinear(x, norm, weight, bias).readF32()).toEqual(expected);
            expect(await layerNormLinear(x, norm, weight, bias).readF32()).toEqual(expected);
          }
          for (const kind of ["tanh", "erf"] as const) {
            const expected = await ops.linear(ops.gelu(x, kind), weight, bias).readF32();
            expect(await geluLinear(x, kind, weight, bias).readF32()).toEqual(expected);
          }
          const plain = await ops.linear(noise(backend, [T, C], T), weight, bias).readF32();
          expect(await ops.linear(x, weight, bias).readF32()).toEqual(plain); // not the codes of the norm
        }
      }
    }
  });

  it.skipIf(typeof list === "string")("give the bits of separate gates, too", async () => {
    for (const backend of typeof list === "string" ? [] : list) {
      for (const [T, M, C, group] of [
        [1, 40, 128, 64],
        [3, 24, 128, 128],
        [7, 16, 96, 32],
        [20, 200, 128, 64],
        [50, 17, 256, 128],
        [250, 72, 160, 32],
      ]) {
        const x = noise(backend, [T, C], T);
        for (const weights of [
          [int4Weight([M, C], group), int4Weight([M, C], group, { isSymmetric: true, isFine: true })],
          [int8Weight([M, C]), int4Weight([M, C], group)],
          [int8Weight([M, C]), int8Weight([M, C])],
          [int4Weight([M, C], 32), int4Weight([M, C], group)],
        ]) {
          const [gate, up] = weights.map((weight) => PackedTensor.from(backend, weight));
          const expected = await ops.swiglu(ops.linear(x, gate, null), ops.linear(x, up, null)).readF32();
          const other = noise(backend, [T, C], T + 1);
          const between = await gatedLinear(other, gate, up).readF32();
          expect(await gatedLinear(x, gate, up).readF32()).toEqual(expected);
          expect(await gatedLinear(x, gate, up).readF32()).toEqual(expected);
          expect(between).not.toEqual(expected); // not the codes of the other rows
        }
      }
    }
  });

  it.skipIf(typeof list === "string")("check widths", () => {
    for (const backend of typeof list === "string" ? [] : list) {
      const weight = PackedTensor.from(backend, int8Weight([8, 16]));
      expect(() => geluLinear(noise(backend, [2, 15], 1), "tanh", weight, null)).toThrow("[linear] inner sizes");
      const norm = { weight: noise(backend, [15], 1), bias: noise(backend, [16], 1), eps: 1e-6 };
      expect(() => layerNormLinear(noise(backend, [2, 16], 1), norm, weight, null)).toThrow("[layer_norm]");
      const wider = PackedTensor.from(backend, int8Weight([8, 32]));
      expect(() => gatedLinear(noise(backend, [2, 16], 1), weight, wider)).toThrow(
        "[swiglu] expected two weights of one",
      );
      expect(() => gatedLinear(noise(backend, [2, 15], 1), weight, weight)).toThrow("[linear] inner sizes");
    }
  });
});
