/**
 * The table of op cases: every operation at sizes of 1, odd sizes, sizes just around tiles and chunks, empty where that is legal, shapes of
 * real models made small, every weight dtype, NaN and infinity. `runOpCases` holds every backend to the reference on it.
 */
import type { Backend, Operand } from "../../src/backend/backend.ts";
import type { DType } from "../../src/core/dtype.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import type { OpClass } from "../tolerance.ts";
import { ATTENTION_CASES } from "./attention-cases.ts";
import { BACKWARD_CASES, type BackwardOpName } from "./backward-cases.ts";
import { type InputSpec, sizes } from "./inputs.ts";
import { PACKED_CASES } from "./packed-cases.ts";
import { PAGED_CASES } from "./paged-cases.ts";

export type OpName =
  | "linear"
  | "layerNorm"
  | "rmsNorm"
  | "attention"
  | "pagedAttention"
  | "pagedAttentionInt8"
  | "scatterRows"
  | "scatterRowsInt8"
  | "rope"
  | "gelu"
  | "swiglu"
  | "add"
  | "embedding"
  | "patchEmbed"
  | "spaceToChannel"
  | "areaResize"
  | "pool3d"
  | "stitchTiles"
  | "splitTiles"
  | "concatColumns"
  | "copy"
  | "linearPacked"
  | "layerNormLinearPacked"
  | "geluLinearPacked"
  | "embeddingPacked"
  | BackwardOpName;

export interface OpCase {
  readonly op: OpName;
  /** Tells the cases of one operation apart. */
  readonly name: string;
  readonly out: Shape;
  /** Default: f32. */
  readonly outDType?: DType;
  readonly inputs: readonly InputSpec[];
  /** Which inputs are weights and may lie at odd addresses. */
  readonly weights?: readonly number[];
  /**
   * Inputs whose absolute values make the reference give the sum of magnitudes of each result's terms. Errors of sums are measured
   * against that: a sum may be next to nothing by chance. Absent: against the result.
   */
  readonly terms?: readonly number[];
  /** Another class of bounds than the operation's. */
  readonly bound?: OpClass;
  run(backend: Backend, out: Operand, inputs: readonly Operand[]): void;
}

export type WeightDType = "f32" | "bf16" | "f16";
export const DTYPES: readonly WeightDType[] = ["f32", "bf16", "f16"];
const { NaN: NAN, POSITIVE_INFINITY: INF, NEGATIVE_INFINITY: MINUS_INF } = Number;

const x = (shape: Shape, more: Partial<InputSpec> = {}): InputSpec => ({ dtype: "f32", shape, ...more });
// — linear —

export function linear(
  [T, C, M]: readonly [number, number, number],
  dtype: WeightDType,
  biasDType: WeightDType | null,
  more: { x?: Partial<InputSpec>; w?: Partial<InputSpec>; bound?: OpClass; name?: string } = {},
): OpCase {
  const bias = biasDType ? [{ dtype: biasDType, shape: [M] }] : [];
  return {
    op: "linear",
    name: `${more.name ?? ""}${sizes({ T, C, M, weight: dtype, bias: biasDType })}`,
    out: [T, M],
    inputs: [x([T, C], more.x), { dtype, shape: [M, C], ...more.w }, ...bias],
    weights: [1, 2],
    terms: [0, 1, 2],
    ...(more.bound && { bound: more.bound }),
    run: (backend, out, [rows, weight, b]) => backend.linear(out, rows, weight, b ?? null),
  };
}

const linearCases: readonly OpCase[] = [
  // Every number of rows of the path for few rows and around the register tiles of the other.
  ...DTYPES.flatMap((dtype) =>
    Array.from({ length: 31 }, (_, i) => linear([i + 1, 37, 35], dtype, i % 2 ? null : "f32")),
  ),
  // Several depth blocks, column groups and tasks.
  ...DTYPES.flatMap((dtype) => [
    linear([103, 1155, 131], dtype, "bf16"),
    linear([1, 1155, 131], dtype, "f16"),
    linear([9, 1155, 131], dtype, dtype),
  ]),
  // Packed x of these sizes does not fit at once (6 MiB): it is cut along C, or along T.
  linear([1030, 4110, 2], "f32", null),
  linear([4400, 384, 2], "bf16", "f32"),
  // Around depth blocks and vectors; no columns at all leave the bias.
  ...[0, 1, 7, 8, 9, 255, 256, 257, 383, 384, 385, 800].flatMap((C, i) => [
    linear([1, C, 17], DTYPES[i % 3], "f32"),
    linear([5, C, 1], DTYPES[(i + 1) % 3], null),
    linear([19, C, 70], DTYPES[(i + 2) % 3], "f32"),
  ]),
  ...[1, 2, 3, 15, 16, 17, 63, 64, 65, 129].map((M, i) => linear([31, 40, M], DTYPES[i % 3], i % 2 ? null : "bf16")),
  linear([0, 8, 4], "f32", "f32"),
  // Each bit pattern is a row of one weight, by both ways; then a whole vector of it, picked out by unit rows.
  ...(["bf16", "f16"] as const).flatMap((dtype) => [
    linear([1, 1, 65536], dtype, null, everyBitPattern(1)),
    linear([3, 8, 65536], dtype, null, everyBitPattern(8)),
    linear([25, 8, 65536], dtype, null, everyBitPattern(8)),
  ]),
  // NaN and infinity stay in their row and column. 49: behind the last full vector.
  ...[1, 2, 5, 26].map((T) =>
    linear([T, 50, 21], "f32", null, {
      name: "NaN and infinity, ",
      x: { special: { [(T - 1) * 50 + 20]: MINUS_INF } },
      w: { special: { [3 * 50 + 49]: NAN, [7 * 50]: INF } },
    }),
  ),
];

/** Weights [65536, C] whose row i is C times the bits i; x picks them out one by one, so results are exact. */
function everyBitPattern(C: number) {
  return {
    name: "every bit pattern, ",
    x: { fill: (i: number) => (i % C === Math.floor(i / C) % C ? 1 : 0) },
    w: { isBits: true, fill: (i: number) => Math.floor(i / C) },
    bound: "exact" as const,
  };
}

// — norms —

type NormFill = Pick<InputSpec, "fill" | "special"> & { readonly name: string };

export function norms(
  [T, C]: readonly [number, number],
  dtype: WeightDType,
  eps: number,
  { name, ...more }: NormFill,
): OpCase[] {
  const weight = { dtype, shape: [C], fill: (_: number, noise: () => number) => 1 + 0.5 * noise() };
  const shared = { name: `${name}${sizes({ T, C, weight: dtype, eps })}`, out: [T, C] };
  return [
    {
      op: "layerNorm",
      ...shared,
      inputs: [x([T, C], more), weight, { dtype, shape: [C] }],
      weights: [1, 2],
      run: (backend, out, [rows, w, b]) => backend.layerNorm(out, rows, w, b, eps),
    },
    {
      op: "rmsNorm",
      ...shared,
      inputs: [x([T, C], more), weight],
      weights: [1],
      run: (backend, out, [rows, w]) => backend.rmsNorm(out, rows, w, eps),
    },
  ];
}

const normCases: readonly OpCase[] = [
  ...[1, 2, 7, 8, 9, 15, 16, 17, 36, 48, 100, 1152, 1536, 1537].flatMap((C, i) =>
    norms([(i % 5) + 1, C], DTYPES[i % 3], 1e-6, { name: "" }),
  ),
  ...norms([257, 64], "bf16", 1e-5, { name: "many rows, " }),
  ...norms([0, 16], "f32", 1e-6, { name: "no rows, " }),
  // f32 sums would lose these: spread far below the mean, next to nothing, squares beyond f32.
  ...norms([3, 1000], "f32", 1e-6, { name: "mean 1000, ", fill: (_, noise) => 1000 + 0.01 * noise() }),
  ...norms([3, 1000], "f32", 1e-6, { name: "tiny, ", fill: (_, noise) => 1e-4 * noise() }),
  ...norms([3, 100], "f32", 1e-6, { name: "huge, ", fill: (_, noise) => 1e25 * noise() }),
  ...norms([2, 40], "f32", 1e-6, { name: "zeros, ", fill: () => 0 }),
  ...norms([3, 21], "f32", 1e-6, { name: "NaN and infinity, ", special: { 20: NAN, 23: INF } }),
];

// — rope —

export function rope(
  [T, H, D]: readonly [number, number, number],
  theta: number,
  position: (t: number) => number,
  name: string,
): OpCase {
  return {
    op: "rope",
    name: `${name}, ${sizes({ T, H, D, theta })}`,
    out: [T, H, D],
    inputs: [x([T, H, D]), { dtype: "i32", shape: [T], fill: position }],
    run: (backend, out, [rows, positions]) => backend.rope(out, rows, positions, theta),
  };
}

const ropeCases: readonly OpCase[] = [
  ...[2, 4, 6, 14, 16, 18, 32, 34, 64, 128].flatMap((D, i) => [
    rope([5, 3, D], 1e6, (t) => t, "from 0"),
    rope([1, (i % 3) + 1, D], 1e4, () => 1000 + i, "one token"),
  ]),
  rope([64, 2, 128], 1e6, (t) => 32768 - 64 + t, "end of a long context"),
  rope([9, 1, 16], 1e4, (t) => [0, 5, 5, 2, 131071, 1, 1000003, 7, 2147483647][t], "any order"),
  rope([0, 2, 8], 1e4, () => 0, "no rows"),
];

// — functions of one element —

/** A sweep through all that matters, then what f32 has at its ends. */
const SPECIAL_VALUES = [0, -0, 1, -1, 1e-30, -1e-30, 1e-42, 1e30, -1e30, 3e38, -3e38, INF, MINUS_INF, NAN];

const functionCases: readonly OpCase[] = [
  ...[0, 1, 7, 8, 9, 1000, 16384, 16385, 70001].flatMap((n): OpCase[] => [
    ...(["tanh", "erf"] as const).map(
      (kind): OpCase => ({
        op: "gelu",
        name: `${kind}, ${sizes({ n })}`,
        out: [n],
        inputs: [x([n], { fill: (i) => (n === 1 ? 0.7 : (24 * i) / (n - 1) - 12) })],
        run: (backend, out, [a]) => backend.gelu(out, a, kind),
      }),
    ),
    {
      op: "swiglu",
      name: sizes({ n }),
      out: [n],
      inputs: [x([n], { fill: (i) => (n === 1 ? 0.7 : (160 * i) / (n - 1) - 80) }), x([n])],
      run: (backend, out, [gate, up]) => backend.swiglu(out, gate, up),
    },
    {
      op: "add",
      name: sizes({ n }),
      out: [n],
      inputs: [x([n]), x([n], { fill: (i, noise) => noise() * 10 ** ((i % 60) - 30) })],
      run: (backend, out, [a, b]) => backend.add(out, a, b),
    },
  ]),
  ...(["tanh", "erf"] as const).map(
    (kind): OpCase => ({
      op: "gelu",
      name: `${kind}, ends of f32`,
      out: [SPECIAL_VALUES.length],
      inputs: [x([SPECIAL_VALUES.length], { fill: (i) => SPECIAL_VALUES[i] })],
      run: (backend, out, [a]) => backend.gelu(out, a, kind),
    }),
  ),
  ...(["swiglu", "add"] as const).map(
    (op): OpCase => ({
      op,
      name: "ends of f32, every pair",
      out: [SPECIAL_VALUES.length ** 2],
      inputs: [
        x([SPECIAL_VALUES.length ** 2], { fill: (i) => SPECIAL_VALUES[i % SPECIAL_VALUES.length] }),
        x([SPECIAL_VALUES.length ** 2], { fill: (i) => SPECIAL_VALUES[Math.floor(i / SPECIAL_VALUES.length)] }),
      ],
      run: (backend, out, [a, b]) => backend[op](out, a, b),
    }),
  ),
];

// — embedding and patches —

const embeddingCases: readonly OpCase[] = DTYPES.flatMap((dtype) =>
  [
    [1, 1, 1],
    [5, 7, 36],
    [33, 3, 100],
    [0, 4, 8],
    [40, 200, 1536],
  ].map(([T, V, C]): OpCase => {
    return {
      op: "embedding",
      name: sizes({ T, V, C, table: dtype }),
      out: [T, C],
      inputs: [
        { dtype: "i32", shape: [T], fill: (t) => (t * 7 + V - 1) % V },
        { dtype, shape: [V, C], special: { 0: V > 1 ? NAN : 1, [V * C - 1]: C > 1 ? INF : 1 } },
      ],
      weights: [1],
      run: (backend, out, [ids, table]) => backend.embedding(out, ids, table),
    };
  }),
);

export function patchEmbed(
  B: number,
  S: number,
  patch: number,
  C: number,
  dtypes: readonly WeightDType[],
  special = {},
): OpCase {
  const P = Math.floor(S / patch) ** 2;
  return {
    op: "patchEmbed",
    name: sizes({ B, S, patch, C, dtypes }),
    out: [B * P, C],
    inputs: [
      x([B, 3, S, S], { special }),
      { dtype: dtypes[0], shape: [C, 3, patch, patch] },
      { dtype: dtypes[1], shape: [C] },
      { dtype: dtypes[2], shape: [P, C] },
    ],
    weights: [1, 2, 3],
    terms: [0, 1, 2, 3],
    run: (backend, out, [pixels, w, b, position]) => backend.patchEmbed(out, pixels, w, b, position),
  };
}

const patchCases: readonly OpCase[] = [
  ...DTYPES.map((dtype) => patchEmbed(2, 56, 14, 48, [dtype, dtype, dtype])),
  patchEmbed(3, 70, 14, 36, ["bf16", "f32", "f16"]),
  patchEmbed(1, 20, 7, 5, ["f32", "bf16", "f32"]), // 6 columns beyond the last patch
  patchEmbed(1, 14, 14, 9, ["f16", "f16", "bf16"]),
  patchEmbed(2, 5, 1, 3, ["f32", "f32", "f32"]),
  patchEmbed(0, 28, 14, 8, ["f32", "f32", "f32"]),
  patchEmbed(1, 6, 8, 4, ["f32", "f32", "f32"]), // smaller than one patch
  patchEmbed(11, 84, 14, 64, ["bf16", "bf16", "bf16"]),
  patchEmbed(2, 28, 14, 8, ["f32", "f32", "f32"], { [3 * 28 * 28 + 15]: NAN, 20: INF }),
];

// — maps —

const mapCases: readonly OpCase[] = [
  ...[
    [1, 1, 1, 1],
    [2, 4, 5, 2],
    [2, 5, 5, 2],
    [3, 5, 36, 3],
    [1, 7, 17, 4],
    [1, 3, 2, 8],
    [0, 4, 8, 2],
    [2, 27, 96, 3],
  ].map(([B, s, C, k]): OpCase => {
    const t = Math.ceil(s / k);
    return {
      op: "spaceToChannel",
      name: sizes({ B, s, C, k }),
      out: [B, t, t, k * k * C],
      inputs: [x([B, s, s, C], B > 0 && s > 1 ? { special: { [C + 1]: NAN, [2 * C]: MINUS_INF } } : {})],
      run: (backend, out, [a]) => backend.spaceToChannel(out, a, k),
    };
  }),
  ...[
    [1, 1, 1, 1, 1],
    [4, 4, 8, 12, 12],
    [12, 12, 8, 4, 4],
    [8, 8, 5, 12, 12],
    [12, 8, 3, 8, 12],
    [7, 5, 17, 3, 9],
    [33, 1, 9, 2, 1],
    [24, 36, 48, 36, 12],
    [5, 5, 16, 5, 5],
    [48, 48, 96, 16, 32],
    [300, 4, 1, 1, 2],
  ].map(([h, w, C, height, width]): OpCase => {
    return {
      op: "areaResize",
      name: `${h}×${w} → ${height}×${width}, ${sizes({ C })}`,
      out: [height, width, C],
      inputs: [x([h, w, C], h === 7 ? { special: { [2 * C + 1]: NAN, [19 * C]: INF } } : {})],
      terms: [0],
      run: (backend, out, [a]) => backend.areaResize(out, a),
    };
  }),
  ...[
    [1, 1, 1, 1, 1, 1, 1],
    [8, 5, 5, 40, 4, 1, 1],
    [8, 4, 4, 9, 8, 2, 2],
    [6, 6, 9, 7, 3, 2, 3],
    [2, 3, 4, 17, 1, 1, 1],
    [4, 8, 8, 1, 2, 4, 8],
    [0, 4, 4, 8, 2, 2, 2],
    [8, 16, 16, 96, 4, 2, 2],
  ].map(([F, h, w, C, pt, ph, pw]): OpCase => {
    return {
      op: "pool3d",
      name: `${pt}×${ph}×${pw} of ${F}×${h}×${w}, ${sizes({ C })}`,
      out: [F / pt, h / ph, w / pw, C],
      inputs: [x([F, h, w, C], F === 6 ? { special: { 11: NAN, 100: MINUS_INF } } : {})],
      terms: [0],
      run: (backend, out, [a]) => backend.pool3d(out, a, [pt, ph, pw]),
    };
  }),
  ...[
    [1, 1, 1, 1, 1],
    [2, 3, 4, 4, 5],
    [3, 1, 5, 5, 17],
    [1, 4, 2, 7, 8],
    [12, 1, 3, 3, 36],
    [3, 4, 16, 16, 48],
    [2, 2, 0, 3, 4],
  ].flatMap(([gy, gx, h, w, C]): OpCase[] => {
    const tiles = [gy * gx, h, w, C];
    const map = [gy * h, gx * w, C];
    const name = sizes({ gy, gx, h, w, C });
    const special = elementCount(tiles) > 3 ? { special: { 3: NAN, 2: INF } } : {};
    return [
      {
        op: "stitchTiles",
        name,
        out: map,
        inputs: [x(tiles, special)],
        run: (backend, out, [a]) => backend.stitchTiles(out, a, gy, gx),
      },
      {
        op: "splitTiles",
        name,
        out: tiles,
        inputs: [x(map, special)],
        run: (backend, out, [a]) => backend.splitTiles(out, a, gy, gx),
      },
    ];
  }),
  ...[[1], [3, 5], [8, 0, 9], [36, 36, 36], [1, 1, 1, 1, 1], [1152, 1152]].flatMap((widths) =>
    [0, 1, 7, 40].map((T): OpCase => {
      return {
        op: "concatColumns",
        name: sizes({ T, widths }),
        out: [1, T, widths.reduce((sum, width) => sum + width, 0)],
        inputs: widths.map((C) => x([1, T, C], T * C > 0 ? { special: { [T * C - 1]: NAN } } : {})),
        run: (backend, out, parts) => backend.concatColumns(out, parts),
      };
    }),
  ),
  ...(["f32", "bf16", "i32", "u8"] as const).flatMap((dtype) =>
    [
      [1, 0, 1],
      [20, 3, 9],
      [20, 0, 0],
      [5000, 77, 4000],
    ].map(([length, start, count]): OpCase => {
      return {
        op: "copy",
        name: `${dtype}, ${count} to ${start} of ${length}`,
        out: [length],
        outDType: dtype,
        inputs: [{ dtype, shape: [count], fill: (i) => i % 101 }],
        run: (backend, out, [source]) => backend.copy(out.storage, start, source.storage),
      };
    }),
  ),
];

export const OP_CASES: readonly OpCase[] = [
  ...linearCases,
  ...normCases,
  ...ATTENTION_CASES,
  ...PAGED_CASES,
  ...ropeCases,
  ...functionCases,
  ...embeddingCases,
  ...patchCases,
  ...mapCases,
  ...PACKED_CASES,
  ...BACKWARD_CASES,
];
