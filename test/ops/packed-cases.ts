/**
 * Op cases of quantised weights: every group size, with and without zero points, the ends of codes and of activations, sizes around panels
 * of 8 outputs and blocks of 32 and 64 inputs, few rows and many. Weights are closures: a case packs them on the backend it runs on.
 */
import type { Backend, GeluKind, Operand, PackedWeight } from "../../src/backend/backend.ts";
import type { Int4Weight, Int8Weight, QuantizedWeight } from "../../src/core/quantized-weight.ts";
import type { OpCase, WeightDType } from "./cases.ts";
import { type InputSpec, noiseSource } from "./inputs.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF, NEGATIVE_INFINITY: MINUS_INF } = Number;

export interface PackedCaseOptions {
  readonly name?: string;
  readonly x?: Pick<InputSpec, "fill" | "special">;
  readonly bias?: WeightDType | null;
  /** Codes at both ends of their range only, scales 1: the largest sums. */
  readonly isExtreme?: boolean;
  /** All zero points 8: "without". */
  readonly isSymmetric?: boolean;
  /** Scales that no f16 holds. */
  readonly isFine?: boolean;
  /** Only the first rows of the weight. */
  readonly rows?: number;
}

/** Codes −127 … 127 and one scale a row; `isExtreme`: −128 and 127. */
export function int8Weight(
  [M, C]: readonly [number, number],
  { isExtreme = false }: PackedCaseOptions = {},
): Int8Weight {
  const noise = noiseSource(M + 7 * C);
  const code = isExtreme ? () => (noise() < 0 ? -128 : 127) : () => Math.round(127 * noise());
  return {
    format: "int8",
    shape: [M, C],
    codes: Int8Array.from({ length: M * C }, code),
    scales: Float32Array.from({ length: M }, () => (isExtreme ? 1 : 0.01 + 0.005 * noise())),
  };
}

export function int4Weight(
  [M, C]: readonly [number, number],
  groupSize: number,
  { isExtreme = false, isSymmetric = false, isFine = false }: PackedCaseOptions = {},
): Int4Weight {
  const noise = noiseSource(M + 3 * C + groupSize);
  const byte = isExtreme ? () => (noise() < 0 ? 0 : 255) : () => Math.floor(128 + 128 * noise());
  const groups = (M * C) / groupSize;
  // Multiples of 2^-14 below 2^-3 have at most 11 bits: every one is an f16.
  const scale = isFine ? () => 0.01 + 0.005 * noise() : () => Math.round(1000 + 900 * noise()) * 2 ** -14;
  const zero = isExtreme ? () => (noise() < 0 ? 0 : 15) : () => Math.floor(8 + 8 * noise());
  return {
    format: "int4",
    shape: [M, C],
    groupSize,
    codes: Uint8Array.from({ length: (M * C) / 2 }, byte),
    scales: Float32Array.from({ length: groups }, scale),
    zeros: Uint8Array.from({ length: groups }, isSymmetric ? () => 8 : zero),
  };
}

function packedOn(backend: Backend, weight: QuantizedWeight, rows: number): PackedWeight {
  const packed = backend.pack(weight);
  return rows === weight.shape[0] ? packed : backend.packedRows(packed, rows);
}

export function linearPacked(T: number, weight: QuantizedWeight, options: PackedCaseOptions = {}): OpCase {
  const [M, C] = weight.shape;
  const { name = "", x, bias = "f32", rows = M } = options;
  const group = weight.format === "int4" ? ` in groups of ${weight.groupSize}` : "";
  const more = Object.keys(options).filter((key) => key.startsWith("is"));
  return {
    op: "linearPacked",
    name: `${name}T=${T} C=${C} M=${rows} of ${M} ${weight.format}${group} ${more} bias=${bias}`,
    out: [T, rows],
    inputs: [{ dtype: "f32", shape: [T, C], ...x }, ...(bias ? [{ dtype: bias, shape: [rows] }] : [])],
    weights: [1],
    run: (backend: Backend, out: Operand, [input, b]: readonly Operand[]) =>
      backend.linearPacked(out, input, packedOn(backend, weight, rows), b ?? null),
  };
}

function embeddingPacked(T: number, weight: QuantizedWeight): OpCase {
  const [V, C] = weight.shape;
  const group = weight.format === "int4" ? ` in groups of ${weight.groupSize}` : "";
  return {
    op: "embeddingPacked",
    name: `T=${T} V=${V} C=${C} ${weight.format}${group}`,
    out: [T, C],
    inputs: [{ dtype: "i32", shape: [T], fill: (t) => (t * 7 + V - 1) % V }],
    run: (backend, out, [ids]) => backend.embeddingPacked(out, ids, backend.pack(weight)),
  };
}

function layerNormLinearPacked(T: number, weight: QuantizedWeight, dtype: WeightDType = "bf16"): OpCase {
  const [M, C] = weight.shape;
  return {
    op: "layerNormLinearPacked",
    name: `T=${T} C=${C} M=${M} ${weight.format} ${dtype}`,
    out: [T, M],
    inputs: [
      { dtype: "f32", shape: [T, C] },
      { dtype, shape: [C] },
      { dtype, shape: [C] },
      { dtype: "f32", shape: [M] },
    ],
    weights: [1, 2, 3],
    run: (backend, out, [x, w, b, bias]) =>
      backend.layerNormLinearPacked(out, x, { weight: w, bias: b, eps: 1e-6 }, backend.pack(weight), bias),
  };
}

function geluLinearPacked(T: number, kind: GeluKind, weight: QuantizedWeight): OpCase {
  const [M, C] = weight.shape;
  return {
    op: "geluLinearPacked",
    name: `T=${T} C=${C} M=${M} ${weight.format} ${kind}`,
    out: [T, M],
    inputs: [{ dtype: "f32", shape: [T, C], fill: (_, noise) => 4 * noise() }],
    run: (backend, out, [x]) => backend.geluLinearPacked(out, x, kind, backend.pack(weight), null),
  };
}

/** Nearly all values at the ends: sums of neighbours are as large as they get. */
const ends = { fill: (_: number, noise: () => number) => (noise() < 0 ? -1 : 1) };
const equal = { fill: () => -3 };
/** A few values are a hundred times the others, as in language models. */
const heavy = { fill: (i: number, noise: () => number) => noise() * (i % 97 === 5 ? 100 : 1) };

const rowCounts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 24, 31, 50];

export const PACKED_CASES: readonly OpCase[] = [
  ...rowCounts.flatMap((T, i) => [
    linearPacked(T, int8Weight([13 + i, 37 + i]), { bias: i % 2 ? null : "f32" }),
    linearPacked(T, int4Weight([13 + i, 256], [128, 64, 32][i % 3]), { bias: i % 2 ? "bf16" : null }),
    linearPacked(T, int4Weight([17, 384], [128, 64, 32][i % 3], { isSymmetric: true }), { isSymmetric: true }),
  ]),
  ...[1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 144, 272, 1000].flatMap((C) =>
    [1, 3, 19].map((T) => linearPacked(T, int8Weight([9, C]))),
  ),
  ...[1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 129].flatMap((M) =>
    [1, 6, 33].flatMap((T) => [
      linearPacked(T, int8Weight([M, 80]), { bias: "f16" }),
      linearPacked(T, int4Weight([M, 160], 32), { bias: "f16" }),
      linearPacked(T, int4Weight([M, 192], 64, { isFine: true }), { isFine: true }),
    ]),
  ),
  // More than one depth block and chunk of tiles, an odd number of panels, a last tile that is not full.
  ...[5, 33, 600].flatMap((T) => [
    linearPacked(T, int8Weight([40, 2416])),
    linearPacked(T, int4Weight([40, 2432], 128)),
    linearPacked(T, int4Weight([40, 1120], 32)),
  ]),
  ...[32, 64, 96, 160, 224].flatMap((C) => [1, 5].map((T) => linearPacked(T, int4Weight([10, C], 32)))),
  ...[256, 512].map((size) => linearPacked(3, int4Weight([9, 1024], size))),
  // Largest sums and every kind of activation; several tasks and blocks.
  ...[1, 9, 40].flatMap((T) => [
    ...[ends, equal, heavy].flatMap((x, i) => [
      linearPacked(T, int8Weight([24, 1152], { isExtreme: true }), { name: `activations ${i}, `, x, isExtreme: true }),
      linearPacked(T, int8Weight([24, 1100]), { name: `activations ${i}, `, x }),
      linearPacked(T, int4Weight([24, 1152], 128, { isExtreme: true }), { name: `activations ${i}, `, x }),
      linearPacked(T, int4Weight([24, 1152], 64), { name: `activations ${i}, `, x }),
    ]),
    linearPacked(T, int8Weight([150, 4304])),
    linearPacked(T, int4Weight([150, 4352], 128)),
    linearPacked(T, int4Weight([150, 4352], 32)),
  ]),
  linearPacked(130, int8Weight([300, 200])),
  linearPacked(130, int4Weight([300, 512], 128)),
  ...[34, 97, 200].flatMap((T) => [128, 64, 32].map((group) => linearPacked(T, int4Weight([72, 2432], group)))),
  // Many rows by depth blocks: one and two of them, a single group, rows and outputs that fill their tiles and that don't.
  ...[128, 64, 32].flatMap((group) => [
    linearPacked(97, int4Weight([64, 4736], group), { bias: "bf16" }),
    linearPacked(64, int4Weight([26, 4736], group)),
    linearPacked(70, int4Weight([32, group], group)),
    linearPacked(96, int4Weight([32, 3 * group], group), { name: "activations, ", x: heavy }),
  ]),
  linearPacked(65, int4Weight([32, 4800], 32)), // half of its groups would end in the middle of a block
  linearPacked(1200, int4Weight([32, 256], 128)),
  linearPacked(64, int4Weight([32, 256], 128), { name: "NaN, ", x: { special: { 300: NAN, 9000: INF } } }),
  ...[0, 1, 3, 17].flatMap((T) => [
    layerNormLinearPacked(T, int8Weight([20, 83])),
    layerNormLinearPacked(T, int8Weight([20, 1152]), "f32"),
    layerNormLinearPacked(T, int4Weight([20, 64], 32), "f16"),
    geluLinearPacked(T, "tanh", int8Weight([20, 83])),
    geluLinearPacked(T, "erf", int8Weight([20, 430])),
    geluLinearPacked(T, "tanh", int4Weight([20, 64], 32)),
  ]),
  layerNormLinearPacked(4100, int8Weight([3, 8])), // more rows than a fused kernel takes
  linearPacked(0, int8Weight([8, 32])),
  linearPacked(0, int4Weight([8, 32], 32)),
  ...[0, 1, 8, 12].flatMap((rows) => [
    linearPacked(2, int8Weight([20, 64]), { rows }),
    linearPacked(2, int4Weight([20, 64], 32), { rows }),
  ]),
  // Zeros, scales that underflow, NaN and infinity: in their row only.
  linearPacked(3, int8Weight([9, 64]), { name: "zeros, ", x: { fill: () => 0 } }),
  linearPacked(3, int4Weight([9, 64], 32), { name: "zeros, ", x: { fill: () => 0 } }),
  ...[1e-38, 1e-42, 1e-45, 1e37].flatMap((size) => [
    linearPacked(2, int8Weight([9, 64]), { name: `${size}, `, x: { fill: (_, noise) => size * noise() }, bias: null }),
    linearPacked(2, int4Weight([9, 64], 32), {
      name: `${size}, `,
      x: { fill: (_, noise) => size * noise() },
      bias: null,
    }),
  ]),
  ...[{ 70: NAN }, { 65: INF, 66: 2 }, { 127: MINUS_INF }].flatMap((special) => [
    linearPacked(3, int8Weight([9, 64]), { name: `${Object.values(special)}, `, x: { special } }),
    linearPacked(3, int4Weight([9, 64], 32), { name: `${Object.values(special)}, `, x: { special } }),
  ]),
  ...[
    [1, 1],
    [9, 130],
    [33, 1152],
  ].flatMap(([V, C]) => [0, 1, 5, 40].map((T) => embeddingPacked(T, int8Weight([V, C])))),
  ...[32, 64, 128].flatMap((group) => [1, 40].map((T) => embeddingPacked(T, int4Weight([30, 384], group)))),
];
