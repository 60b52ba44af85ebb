import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DType, HostArray } from "../../core/dtype.ts";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../../util/half.ts";
import { DTYPE_CODE, type WeightArray } from "./binding.ts";
import { loadBinding } from "./load.ts";

const { binding } = loadBinding();
type WeightDType = keyof typeof DTYPE_CODE;
const DTYPES = ["f32", "bf16", "f16"] as const satisfies readonly DType[];
const GUARD = 16;

/** Small deterministic numbers in −1 … 1. */
function noise(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

function encode(dtype: WeightDType, values: Float32Array): WeightArray {
  if (dtype === "f32") return values;
  return Uint16Array.from(values, dtype === "bf16" ? f32ToBf16 : f32ToF16);
}

function decode(dtype: WeightDType, array: HostArray): Float32Array {
  if (dtype === "f32") return array as Float32Array;
  return Float32Array.from(array, dtype === "bf16" ? bf16ToF32 : f16ToF32);
}

/** The definition, with the sum of magnitudes beside each result for the bound. */
function define(x: Float32Array, w: Float32Array, bias: Float32Array | null, T: number, C: number, M: number) {
  const out = new Float64Array(T * M);
  const magnitude = new Float64Array(T * M);
  for (let t = 0; t < T; t++) {
    for (let m = 0; m < M; m++) {
      let sum = bias ? bias[m] : 0;
      let size = Math.abs(sum);
      for (let c = 0; c < C; c++) {
        const product = x[t * C + c] * w[m * C + c];
        sum += product;
        size += Math.abs(product);
      }
      out[t * M + m] = sum;
      magnitude[t * M + m] = size;
    }
  }
  return { out, magnitude };
}

interface Case {
  T: number;
  C: number;
  M: number;
  dtype: WeightDType;
  biasDType: WeightDType | null;
  seed: number;
}

function run(
  isa: string,
  threads: number,
  c: Case,
  x: Float32Array,
  w: WeightArray,
  bias: WeightArray | null,
): Float32Array {
  const context = binding!.createContext(threads, isa);
  const guarded = new Float32Array(GUARD + c.T * c.M + GUARD).fill(777);
  const out = guarded.subarray(GUARD, GUARD + c.T * c.M);
  binding!.linear(context, out, x, w, DTYPE_CODE[c.dtype], bias, DTYPE_CODE[c.biasDType ?? "f32"], c.T, c.C, c.M);
  expect([...guarded.subarray(0, GUARD), ...guarded.subarray(GUARD + c.T * c.M)].every((v) => v === 777)).toBe(true);
  return out;
}

function check(c: Case, isas: readonly string[]): void {
  const x = noise(c.T * c.C, c.seed);
  const w = encode(c.dtype, noise(c.M * c.C, c.seed + 1));
  const bias = c.biasDType && encode(c.biasDType, noise(c.M, c.seed + 2));
  const expected = define(x, decode(c.dtype, w), bias && decode(c.biasDType!, bias), c.T, c.C, c.M);
  // An f32 sum in any order errs by at most C + 1 half units of the sum of magnitudes; in practice by about √C, which
  // leaves this bound a factor of a few for small C. 1e-30: nothing to divide by when C = 0 and there is no bias.
  const unit = 2 ** -24 * (2 * Math.sqrt(c.C) + 4);
  for (const isa of isas) {
    const one = run(isa, 1, c, x, w, bias);
    for (const threads of [2, 3]) expect(run(isa, threads, c, x, w, bias)).toEqual(one);
    const worst = one.reduce(
      (at, value, i) => {
        const excess = Math.abs(value - expected.out[i]) / (expected.magnitude[i] * unit + 1e-30);
        return excess > at.excess ? { excess, i, value, expected: expected.out[i] } : at;
      },
      { excess: 0, i: -1, value: 0, expected: 0 },
    );
    if (!(worst.excess <= 1)) throw new Error(`${isa} ${JSON.stringify(c)}: ${JSON.stringify(worst)}`);
  }
}

function available(): readonly string[] {
  if (!binding) return [];
  return ["scalar", "avx2"].filter((isa) => {
    try {
      binding.createContext(1, isa);
      return true;
    } catch {
      console.warn(`skipped: ${isa} does not run here`);
      return false;
    }
  });
}

describe.skipIf(!binding)("native linear (skipped without the native addon)", () => {
  const isas = available();

  it("equals the definition for every T of the small path and around the tiles", () => {
    for (const dtype of DTYPES) {
      for (let T = 1; T <= 26; T++) check({ T, C: 37, M: 35, dtype, biasDType: T % 2 ? "f32" : null, seed: T }, isas);
    }
  });

  it("equals the definition over several depth blocks, column groups and parts", () => {
    for (const dtype of DTYPES) {
      check({ T: 103, C: 1155, M: 131, dtype, biasDType: "bf16", seed: 5 }, isas);
      check({ T: 1, C: 1155, M: 131, dtype, biasDType: "f16", seed: 6 }, isas);
      check({ T: 9, C: 1155, M: 131, dtype, biasDType: dtype, seed: 7 }, isas);
    }
    // Packed x of this size does not fit at once: 16 MiB are 1020 rows of 4110.
    check({ T: 1100, C: 4110, M: 3, dtype: "f32", biasDType: null, seed: 8 }, isas.slice(-1));
  });

  it("equals the definition on random sizes", () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 150 }));
    const cases = fc.record({
      T: size,
      C: fc.oneof(size, fc.constantFrom(0, 383, 384, 385, 800)),
      M: size,
      dtype: fc.constantFrom(...DTYPES),
      biasDType: fc.option(fc.constantFrom(...DTYPES)),
      seed: fc.integer({ min: 0, max: 1000 }),
    });
    fc.assert(
      fc.property(cases, (c) => check(c, isas)),
      { numRuns: 60, seed: 2026 },
    );
  });

  it("widens every bf16 and f16 value exactly", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    for (const dtype of ["bf16", "f16"] as const) {
      for (const isa of isas) {
        const expected = decode(dtype, bits);
        // One column: each weight is its own row. T = 1 and T = 13 are the two ways.
        for (const T of [1, 13]) {
          const x = new Float32Array(T).fill(1);
          const out = run(isa, 2, { T, C: 1, M: 65536, dtype, biasDType: null, seed: 0 }, x, bits, null);
          expect(
            out
              .subarray(0, 65536)
              .findIndex((v, i) => !(v === expected[i] || (Number.isNaN(v) && Number.isNaN(expected[i])))),
          ).toBe(-1);
        }
        // Whole vectors of 16 equal weights, summed with one-hot rows.
        const w = Uint16Array.from({ length: 65536 * 16 }, (_, i) => ((i / 16) | 0) & 0xffff);
        const x = new Float32Array(16).fill(0.0625);
        const out = run(isa, 2, { T: 1, C: 16, M: 65536, dtype, biasDType: null, seed: 0 }, x, w, null);
        const wrong = out.findIndex((v, i) => {
          const e = expected[i];
          if (!Number.isFinite(e)) return Number.isNaN(e) ? !Number.isNaN(v) : v !== e;
          // Sixteen equal parts of 1/16 are exact unless they fall among the subnormals of f32.
          return Math.abs(e) > 2 ** -120 && v !== e;
        });
        expect(wrong).toBe(-1);
      }
    }
  });

  it("lets NaN and infinity pass, and only where they belong", () => {
    for (const T of [1, 2, 5, 14]) {
      const C = 50;
      const M = 21;
      const x = noise(T * C, 1);
      const w = noise(M * C, 2);
      w[3 * C + 49] = Number.NaN;
      w[7 * C] = Number.POSITIVE_INFINITY;
      x[(T - 1) * C + 20] = Number.NEGATIVE_INFINITY;
      const expected = define(x, w, null, T, C, M).out;
      for (const isa of isas) {
        const out = run(isa, 2, { T, C, M, dtype: "f32", biasDType: null, seed: 0 }, x, w, null);
        for (let i = 0; i < out.length; i++) {
          if (Number.isFinite(expected[i])) expect(Number.isFinite(out[i])).toBe(true);
          else expect(out[i]).toBe(expected[i]);
        }
      }
    }
  });

  it("takes weights at odd addresses", () => {
    for (const T of [1, 15]) {
      const C = 19;
      const M = 9;
      const values = noise(M * C, 3);
      const bytes = new Uint8Array(values.byteLength + 4);
      bytes.set(new Uint8Array(values.buffer), 4);
      const x = noise(T * C, 4);
      const shifted = new Float32Array(bytes.buffer, 4, M * C);
      const c: Case = { T, C, M, dtype: "f32", biasDType: null, seed: 0 };
      for (const isa of isas) expect(run(isa, 2, c, x, shifted, null)).toEqual(run(isa, 2, c, x, values, null));
    }
  });

  it("leaves an empty result alone and refuses wrong sizes", () => {
    const context = binding!.createContext(1, "");
    const none = new Float32Array(0);
    binding!.linear(context, none, none, new Float32Array(6), 0, null, 0, 0, 3, 2);
    expect(() =>
      binding!.linear(context, new Float32Array(2), new Float32Array(3), new Float32Array(5), 0, null, 0, 1, 3, 2),
    ).toThrow(/internal: \[linear\] argument 3 holds 5 elements, expected 6/);
    expect(() =>
      binding!.linear(context, new Float32Array(2), new Float32Array(3), new Uint16Array(6), 0, null, 0, 1, 3, 2),
    ).toThrow(/Float32Array/);
  });
});
