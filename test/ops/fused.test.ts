/** Fused operations against the separate ones on the same backend: the same bits, in any order of calls, with every number of threads. */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import type { QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { geluLinear, layerNormLinear } from "../../src/tensor/fused-ops.ts";
import * as ops from "../../src/tensor/ops.ts";
import { PackedTensor } from "../../src/tensor/packed-tensor.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { noiseTensor } from "./inputs.ts";
import { int4Weight, int8Weight } from "./packed-cases.ts";

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
        const x = noiseTensor(backend, [T, C], T, 3);
        const norms = [1, 2].map((seed) => ({
          weight: noiseTensor(backend, [C], seed, 3),
          bias: noiseTensor(backend, [C], seed + 7, 3),
          eps: 1e-6,
        }));
        for (const weight of weights.map((w) => PackedTensor.from(backend, w))) {
          const bias = noiseTensor(backend, [weight.shape[0]], 5, 3);
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
          const plain = await ops.linear(noiseTensor(backend, [T, C], T, 3), weight, bias).readF32();
          expect(await ops.linear(x, weight, bias).readF32()).toEqual(plain); // not the codes of the norm
        }
      }
    }
  });

  it.skipIf(typeof list === "string")("check widths", () => {
    for (const backend of typeof list === "string" ? [] : list) {
      const weight = PackedTensor.from(backend, int8Weight([8, 16]));
      expect(() => geluLinear(noiseTensor(backend, [2, 15], 1, 3), "tanh", weight, null)).toThrow(
        "[linear] inner sizes",
      );
      const norm = { weight: noiseTensor(backend, [15], 1, 3), bias: noiseTensor(backend, [16], 1, 3), eps: 1e-6 };
      expect(() => layerNormLinear(noiseTensor(backend, [2, 16], 1, 3), norm, weight, null)).toThrow("[layer_norm]");
    }
  });
});
