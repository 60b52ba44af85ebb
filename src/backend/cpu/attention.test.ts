import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Operand } from "../backend.ts";
import { HostMemory } from "../host.ts";
import { attention as define } from "../reference/attention.ts";
import { INSTRUCTION_SETS } from "./binding.ts";
import { loadBinding } from "./load.ts";

const { binding } = loadBinding();
const memory = new HostMemory();
const GUARD = 16;

interface Case {
  H: number;
  Hkv: number;
  D: number;
  causal: boolean;
  /** Queries and keys of each segment. */
  segments: readonly (readonly [Tq: number, Tk: number])[];
  scale?: number;
}

interface Inputs {
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
}

/** Small deterministic numbers in −1 … 1. */
function noise(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

const totals = (c: Case): [T: number, S: number] => [
  c.segments.reduce((sum, [Tq]) => sum + Tq, 0),
  c.segments.reduce((sum, [, Tk]) => sum + Tk, 0),
];

function inputs(c: Case, seed: number): Inputs {
  const [T, S] = totals(c);
  return {
    q: noise(T * c.H * c.D, seed),
    k: noise(S * c.Hkv * c.D, seed + 1),
    v: noise(S * c.Hkv * c.D, seed + 2),
  };
}

function offsets(c: Case, index: 0 | 1): Int32Array | null {
  if (c.segments.length === 1) return null;
  let sum = 0;
  return Int32Array.from([0, ...c.segments.map((segment) => (sum += segment[index]))]);
}

function reference(c: Case, { q, k, v }: Inputs): Float32Array {
  const [T, S] = totals(c);
  const out = new Float32Array(T * c.H * c.D);
  const operand = (array: Float32Array, shape: number[]): Operand => ({
    storage: memory.wrap("f32", array),
    shape,
    dtype: "f32",
  });
  const options = {
    scale: c.scale ?? c.D ** -0.5,
    causal: c.causal,
    cuSeqlensQ: offsets(c, 0),
    cuSeqlensK: offsets(c, 1),
  };
  const keys = [S, c.Hkv, c.D];
  define(operand(out, [T, c.H, c.D]), operand(q, [T, c.H, c.D]), operand(k, keys), operand(v, keys), options);
  return out;
}

function run(isa: string, threads: number, c: Case, { q, k, v }: Inputs): Float32Array {
  const [T, S] = totals(c);
  const guarded = new Float32Array(GUARD + q.length + GUARD).fill(777);
  const out = guarded.subarray(GUARD, GUARD + q.length);
  binding!.attention(
    binding!.createContext(threads, isa),
    out,
    q,
    k,
    v,
    offsets(c, 0),
    offsets(c, 1),
    c.segments.length,
    T,
    S,
    c.H,
    c.Hkv,
    c.D,
    c.scale ?? c.D ** -0.5,
    c.causal ? 1 : 0,
    0,
  );
  expect([...guarded.subarray(0, GUARD), ...guarded.subarray(GUARD + q.length)].every((x) => x === 777)).toBe(true);
  return out;
}

/** `bound` is absolute, for values in −1 … 1. */
function check(c: Case, isas: readonly string[], bound = 2e-6, data = inputs(c, c.D + c.H)): void {
  const expected = reference(c, data);
  for (const isa of isas) {
    const one = run(isa, 1, c, data);
    for (const threads of [2, 3]) expect(run(isa, threads, c, data)).toEqual(one);
    const worst = one.reduce((at, x, i) => {
      const isClose = Object.is(x, expected[i]) || Math.abs(x - expected[i]) <= bound;
      return at < 0 && !isClose ? i : at;
    }, -1);
    if (worst >= 0) throw new Error(`${isa} ${JSON.stringify(c)}: [${worst}] ${one[worst]} for ${expected[worst]}`);
  }
}

function available(): readonly string[] {
  if (!binding) return [];
  return INSTRUCTION_SETS.filter((isa) => {
    try {
      binding.createContext(1, isa);
      return true;
    } catch {
      console.warn(`skipped: ${isa} does not run here`);
      return false;
    }
  });
}

describe.skipIf(!binding)("native attention (skipped without the native addon)", () => {
  const isas = available();

  it("equals the definition for models' shapes", () => {
    check({ H: 2, Hkv: 2, D: 72, causal: false, segments: [[150, 150]] }, isas);
    check({ H: 12, Hkv: 2, D: 128, causal: true, segments: [[11, 190]] }, isas);
    check({ H: 12, Hkv: 2, D: 128, causal: true, segments: [[1, 300]] }, isas);
    check({ H: 7, Hkv: 1, D: 128, causal: true, segments: [[3, 137]] }, isas);
    check({ H: 3, Hkv: 1, D: 16, causal: true, segments: [[150, 150]] }, isas);
  });

  it("equals the definition at every number of rows and keys around the tiles and blocks", () => {
    for (let n = 1; n <= 40; n++) {
      check({ H: 2, Hkv: 2, D: (n % 19) + 1, causal: n % 2 === 0, segments: [[n, n + (n % 3)]] }, isas);
      check({ H: 3, Hkv: 1, D: 8, causal: true, segments: [[Math.ceil(n / 3), 118 + n]] }, isas);
      check({ H: 1, Hkv: 1, D: 5, causal: true, segments: [[60 + n, 110 + n]] }, isas);
    }
  });

  it("keeps segments apart", () => {
    const segments = [
      [70, 70],
      [0, 4],
      [1, 130],
      [3, 3],
      [0, 0],
      [90, 140],
    ] as const;
    for (const causal of [false, true]) check({ H: 4, Hkv: 2, D: 12, causal, segments }, isas);
    check(
      {
        H: 2,
        Hkv: 2,
        D: 9,
        causal: false,
        segments: [
          [5, 0],
          [80, 0],
          [2, 3],
        ],
      },
      isas,
    );
  });

  it("equals the definition on random sizes", () => {
    const segment = fc
      .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 150 }))
      .map(([Tq, more]) => [Tq, Tq + more] as const);
    const cases = fc.record({
      Hkv: fc.integer({ min: 1, max: 3 }),
      group: fc.integer({ min: 1, max: 7 }),
      D: fc.integer({ min: 1, max: 40 }),
      causal: fc.boolean(),
      segments: fc.array(segment, { minLength: 1, maxLength: 3 }),
      scale: fc.constantFrom(0.1, 1, -0.3),
    });
    fc.assert(
      fc.property(cases, ({ group, ...c }) => check({ ...c, H: c.Hkv * group }, isas, 4e-6)),
      { numRuns: 20, seed: 2026 },
    );
  });

  it("stays exact when scores are large", () => {
    const c: Case = { H: 2, Hkv: 1, D: 64, causal: false, segments: [[80, 400]], scale: 4 };
    // Scores reach 40; an f32 sum of 64 products errs by about 1e-6 of that, and so does the weight.
    check(c, isas, 4e-5);
    const data = inputs(c, 5);
    const far = data.k.map((x) => x * 1000);
    check(c, isas, 2e-2, { ...data, k: far });
  });

  it("treats NaN and infinity as the definition does", () => {
    const c: Case = { H: 2, Hkv: 1, D: 24, causal: true, segments: [[140, 270]] };
    const few: Case = { ...c, segments: [[7, 270]] };
    for (const [size, place] of [
      [c, "many"],
      [few, "few"],
    ] as const) {
      const keys = size.segments[0][1];
      const at = (s: number, d: number): number => s * size.D + d;
      const changes: Record<string, (x: Inputs) => void> = {
        "a value is infinite": (x) => x.v.fill(Number.POSITIVE_INFINITY, at(keys - 3, 4), at(keys - 3, 5)),
        "a value is NaN": (x) => x.v.fill(Number.NaN, at(keys - 2, 23), at(keys - 2, 24)),
        "a key is NaN": (x) => x.k.fill(Number.NaN, at(keys - 2, 0), at(keys - 2, 1)),
        "a NaN has a payload": (x) => new Uint32Array(x.k.buffer).fill(0x7f800001, at(keys - 2, 0), at(keys - 2, 1)),
        "a query is NaN": (x) => x.q.fill(Number.NaN, 30, 31),
        "a key is infinite": (x) => x.k.fill(Number.POSITIVE_INFINITY, at(keys - 4, 2), at(keys - 4, 3)),
        "all keys are −∞ for positive queries": (x) => x.k.fill(Number.NEGATIVE_INFINITY),
        "the first keys' scores are −∞": (x) => {
          x.q.fill(0.5);
          x.k.fill(Number.NEGATIVE_INFINITY, 0, at(200, 0));
        },
        "all scores are −∞": (x) => {
          x.q.fill(0.5);
          x.k.fill(Number.NEGATIVE_INFINITY);
        },
      };
      for (const [name, change] of Object.entries(changes)) {
        const data = inputs(size, 3);
        change(data);
        try {
          check(size, isas, 1e-5, data);
        } catch (error) {
          throw new Error(`${place}, ${name}: ${error}`);
        }
      }
    }
  });

  it("refuses wrong sizes and offsets", () => {
    const context = binding!.createContext(1, "");
    const four = new Float32Array(4);
    const call = (q: Int32Array | null, segments: number, H = 2, Hkv = 1, k = four): void =>
      binding!.attention(
        context,
        new Float32Array(8),
        new Float32Array(8),
        k,
        k,
        q,
        null,
        segments,
        2,
        2,
        H,
        Hkv,
        2,
        1,
        0,
        0,
      );
    call(null, 1);
    call(Int32Array.of(0, 2), 1);
    expect(() => call(Int32Array.of(0, 3), 1)).toThrow("internal: [attention] segment offsets do not cover 2 rows");
    expect(() => call(Int32Array.of(0, 3, 2), 2)).toThrow(/do not cover 2 rows/);
    expect(() => call(Int32Array.of(1, 2), 1)).toThrow(/do not cover 2 rows/);
    expect(() => call(null, 2)).toThrow(/do not cover 2 rows/);
    expect(() => call(null, 1, 2, 1, new Float32Array(3))).toThrow(/holds 3 elements, expected 4/);
    expect(() =>
      binding!.attention(
        context,
        new Float32Array(0),
        new Float32Array(0),
        four,
        four,
        null,
        null,
        1,
        0,
        1,
        3,
        2,
        2,
        1,
        0,
        0,
      ),
    ).toThrow(/no multiple/);
  });
});
