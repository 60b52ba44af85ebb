/** The native rounding of weights gives the bits of the plain one, on every instruction set and with any number of threads. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import type { QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { nativeQuantizer } from "../../src/io/native-quantizer.ts";
import type { TensorPlan } from "../../src/quant/quantize-plan.ts";
import { emptyWeight, plainQuantizer, type StoredRows } from "../../src/quant/weight-quantizer.ts";
import { f32ToBf16, f32ToF16 } from "../../src/util/half.ts";
import { expectSame } from "./golden-arrays.ts";

const { binding, ...rest } = loadBinding();
const ISAS = INSTRUCTION_SETS.filter((isa) => {
  try {
    binding?.createContext(1, isa);
    return binding !== null;
  } catch {
    return false;
  }
});
const DTYPES = ["f32", "bf16", "f16"] as const;
const PLANS: readonly TensorPlan[] = [
  { format: "int8" },
  ...[128, 64, 32].flatMap((groupSize) =>
    [false, true].map((isSymmetric) => ({ format: "int4", groupSize, isSymmetric, scaleDType: "f16" }) as const),
  ),
];

/** Rows of several kinds, among them ties, constants, zeros and scales that are subnormal halves. */
function values(M: number, C: number, seed: number): Float32Array {
  const kinds: readonly ((i: number, u: number) => number)[] = [
    (_, u) => u,
    (_, u) => u * 1e-5,
    (_, u) => Math.round(u * 15) / 2,
    () => 0,
    (i) => (i % 2 ? -3 : 3),
    (_, u) => u + 5,
    (_, u) => u * 3e4,
    (i, u) => (i % 61 === 0 ? 100 * u : u),
    (_, u) => u * 1e-9,
  ];
  let state = seed + 1;
  return Float32Array.from({ length: M * C }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return kinds[Math.floor(i / C) % kinds.length](i, (state / 2 ** 31 - 1) * 2);
  });
}

function stored(dtype: StoredRows["dtype"], data: Float32Array, M: number): StoredRows {
  const encoded = dtype === "f32" ? data : Uint16Array.from(data, dtype === "f16" ? f32ToF16 : f32ToBf16);
  return { dtype, data: encoded, rows: M, columns: data.length / M };
}

function expectSameBits(rows: StoredRows, plan: TensorPlan, isa: string, threads: number): void {
  if (!binding) throw new Error("no addon");
  const shape = [rows.rows, rows.columns] as const;
  const [plain, native] = [emptyWeight(shape, plan), emptyWeight(shape, plan)];
  const expected = plainQuantizer.quantize(rows, plan, plain);
  const actual = nativeQuantizer(binding, threads, isa).quantize(rows, plan, native);
  const label = `${isa} ${rows.dtype} ${JSON.stringify(plan)} [${shape.join(", ")}]`;
  expectSame(`${label} scales`, native.scales, plain.scales);
  expectSame(`${label} zeros`, zerosOf(native), zerosOf(plain));
  expectSame(`${label} codes`, native.codes, plain.codes);
  expect(actual.squares, label).toBeCloseTo(expected.squares, -Math.log10(expected.squares * 1e-5 + 1e-30));
  expect(Math.abs(actual.errorSquares - expected.errorSquares), label).toBeLessThanOrEqual(
    expected.errorSquares * 1e-4 + 1e-12 * expected.squares,
  );
}

function zerosOf(weight: QuantizedWeight): Uint8Array {
  return weight.format === "int4" ? weight.zeros : new Uint8Array(0);
}

describe.skipIf(binding === null)(`native rounding of weights (${ISAS.join(", ") || JSON.stringify(rest)})`, () => {
  for (const isa of ISAS) {
    it(`gives the plain bits: ${isa}`, () => {
      for (const dtype of DTYPES) {
        for (const plan of PLANS) expectSameBits(stored(dtype, values(19, 384, 7), 19), plan, isa, 2);
      }
    });

    it(`at any width and with any number of threads: ${isa}`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 700 }),
          fc.nat(1e6),
          fc.constantFrom(1, 2, 3, 5),
          (M, C, seed, threads) => {
            expectSameBits(stored("f32", values(M, C, seed), M), { format: "int8" }, isa, threads);
            const plan = { format: "int4", groupSize: 32, isSymmetric: seed % 2 === 0, scaleDType: "f16" } as const;
            const width = Math.ceil(C / 32) * 32;
            expectSameBits(stored("bf16", values(M, width, seed), M), plan, isa, threads);
          },
        ),
        { numRuns: 25, seed: 4 },
      );
    });

    it(`tells values that are not finite: ${isa}`, () => {
      if (!binding) return;
      for (const plan of PLANS) {
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          for (const at of [0, 5, 100, 383]) {
            const data = values(3, 384, 1);
            data[384 + at] = bad;
            const rows = stored("f32", data, 3);
            const error = nativeQuantizer(binding, 1, isa).quantize(rows, plan, emptyWeight([3, 384], plan));
            expect(Number.isFinite(error.errorSquares) && Number.isFinite(error.squares), `${bad} at ${at}`).toBe(
              false,
            );
          }
        }
      }
    });
  }

  it("checks what it is given", () => {
    if (!binding) return;
    const context = binding.createContext(1, "");
    const [codes, scales, zeros, sums] = [
      new Uint8Array(32),
      new Float32Array(2),
      new Uint8Array(2),
      new Float64Array(2),
    ];
    const call = (group: number, data = new Float32Array(64)) =>
      binding.quantizeInt4(context, codes, scales, zeros, sums, data, 0, 1, 64, group, 0, 0);
    call(32);
    expect(() => call(48)).toThrow(/groups do not fit/);
    expect(() => call(0)).toThrow(/internal/);
    expect(() => call(32, new Float32Array(63))).toThrow(/holds 63 elements, expected 64/);
  });
});
