/** The gated MLP of packed weights against its products one by one on the same backend: the same bits, with every number of threads and codes of every width. */
import { describe, expect, it } from "vitest";
import type { Backend, Int4Activations } from "../../src/backend/backend.ts";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import type { QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { gatedMlp } from "../../src/tensor/fused-ops.ts";
import * as ops from "../../src/tensor/ops.ts";
import { PackedTensor } from "../../src/tensor/packed-tensor.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { noiseTensor } from "./inputs.ts";
import { int4Weight, int8Weight } from "./packed-cases.ts";

const WIDTHS: readonly Int4Activations[] = ["int8", "int16", "int24"];
const PLACES = ["reference", ...INSTRUCTION_SETS] as const;
const CASES = PLACES.flatMap((place) => WIDTHS.map((width) => [place, width] as const));

function backendsOf(place: (typeof PLACES)[number], int4Activations: Int4Activations): readonly Backend[] | string {
  return place === "reference" ? [new ReferenceBackend({ int4Activations })] : cpuBackends(place, { int4Activations });
}

/** Gate, up and down of as many sizes and groups as rows [T] of a fused kernel meet. */
interface Sizes {
  readonly T: number;
  readonly M: number;
  readonly inner: number;
  readonly C: number;
  readonly group: number;
}

const SIZES: readonly Sizes[] = [
  { T: 1, M: 40, inner: 64, C: 128, group: 64 },
  { T: 3, M: 24, inner: 128, C: 128, group: 128 },
  { T: 7, M: 16, inner: 96, C: 96, group: 32 },
  { T: 20, M: 40, inner: 320, C: 128, group: 64 },
  { T: 50, M: 17, inner: 256, C: 128, group: 128 },
  { T: 200, M: 24, inner: 160, C: 64, group: 32 },
  { T: 210, M: 24, inner: 256, C: 128, group: 128 },
  { T: 70, M: 24, inner: 256, C: 256, group: 128 },
  { T: 130, M: 40, inner: 320, C: 192, group: 64 },
  { T: 64, M: 17, inner: 128, C: 160, group: 32 },
  { T: 600, M: 16, inner: 128, C: 256, group: 128 },
];

const fine = { isSymmetric: true, isFine: true };

/** What is one operation. */
function int4Weights({ M, inner, C, group }: Sizes): QuantizedWeight[][] {
  return [
    [int4Weight([inner, C], group), int4Weight([inner, C], group, fine), int4Weight([M, inner], group)],
    [int4Weight([inner, C], group, fine), int4Weight([inner, C], group), int4Weight([M, inner], 32, fine)],
  ];
}

/** What a backend may do one by one. */
function mixedWeights({ M, inner, C, group }: Sizes): QuantizedWeight[][] {
  return [
    [int4Weight([inner, C], group), int4Weight([inner, C], group), int8Weight([M, inner])],
    [int8Weight([inner, C]), int4Weight([inner, C], group), int4Weight([M, inner], group)],
    [int8Weight([inner, C]), int8Weight([inner, C]), int8Weight([M, inner])],
    [int4Weight([inner, C], 32), int4Weight([inner, C], group), int4Weight([M, inner], group)],
  ];
}

/** NaN equals NaN; quicker than `toEqual` by far. */
function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

async function expectSeparateBits(backend: Backend, { T, C }: Sizes, weights: readonly QuantizedWeight[]) {
  const [gate, up, down] = weights.map((weight) => PackedTensor.from(backend, weight));
  const [x, same, other] = [T, T, T + 1].map((seed) => noiseTensor(backend, [T, C], seed, 3));
  const inner = ops.swiglu(ops.linear(x, gate, null), ops.linear(x, up, null));
  const expected = await ops.linear(inner, down, null).readF32();
  const gates = await ops.linear(same, gate, null).readF32();
  expect(isSame(await gatedMlp(other, gate, up, down).readF32(), expected)).toBe(false); // and leaves the codes of other rows
  expect(isSame(await gatedMlp(x, gate, up, down).readF32(), expected)).toBe(true);
  expect(isSame(await gatedMlp(x, gate, up, down).readF32(), expected)).toBe(true);
  expect(isSame(await ops.linear(x, gate, null).readF32(), gates)).toBe(true);
}

describe.each(CASES)("gated MLP on %s with %s activations", (place, width) => {
  const list = backendsOf(place, width);
  const backends = typeof list === "string" ? [] : list;

  it.skipIf(typeof list === "string")("gives the bits of its products", async () => {
    for (const backend of backends) {
      for (const sizes of SIZES) {
        for (const weights of int4Weights(sizes)) await expectSeparateBits(backend, sizes, weights);
      }
    }
  });

  it.skipIf(typeof list === "string" || width !== "int8")("takes weights of different kinds", async () => {
    for (const backend of backends) {
      for (const sizes of SIZES.slice(0, 4)) {
        for (const weights of mixedWeights(sizes)) await expectSeparateBits(backend, sizes, weights);
      }
    }
  });
});

describe("gated MLP", () => {
  it("says which sizes do not fit", () => {
    const backend = new ReferenceBackend();
    const pack = (shape: [number, number]) => PackedTensor.from(backend, int8Weight(shape));
    const [weight, wider, down] = [pack([8, 16]), pack([8, 32]), pack([16, 8])];
    const x = noiseTensor(backend, [2, 16], 1);
    expect(() => gatedMlp(x, weight, wider, down)).toThrow("[swiglu] expected gate and up [I, C] and down [M, I], got");
    expect(() => gatedMlp(x, weight, weight, weight)).toThrow("[swiglu] expected gate and up [I, C]");
    expect(() => gatedMlp(noiseTensor(backend, [2, 15], 1), weight, weight, down)).toThrow("[linear] inner sizes");
  });
});
