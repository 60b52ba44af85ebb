/**
 * Op cases of keys and values in blocks: batches of decoding sequences and chunks of prompts, lengths around blocks, blocks out of order,
 * blocks that several sequences share, NaN and infinity.
 */
import type { Backend, Operand, PagedAttentionOptions } from "../../src/backend/backend.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import type { OpCase } from "./cases.ts";
import type { InputSpec } from "./inputs.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;

export interface PagedSizes {
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
  /** Default: 16. */
  readonly blockSize?: number;
  /** Queries and keys of each sequence. */
  readonly sequences: readonly (readonly [T: number, keys: number])[];
  /** Full blocks at the beginning that all sequences have in common, as far as they reach. Default: 0. */
  readonly shared?: number;
}

/** What a call is told, with blocks scattered over the pool, and the pool's rows. */
export function pagedLayout({ D, sequences, shared = 0, blockSize = 16 }: PagedSizes): {
  readonly options: PagedAttentionOptions;
  readonly rows: number;
} {
  const counts = sequences.map(([, keys]) => Math.ceil(keys / blockSize));
  const width = Math.max(1, ...counts) + 1;
  const total = shared + counts.reduce((sum, count) => sum + count, 0) + 3;
  // Steps that share no factor with the total visit every block once.
  const steps = [7, 5, 11, 3, 2, 1].find((step) => greatestCommonDivisor(step, total) === 1) ?? 1;
  let taken = 0;
  const next = (): number => (2 + steps * taken++) % total;
  const common = Array.from({ length: shared }, next);
  const blockTables = new Int32Array(sequences.length * width).fill(-1); // −1: must not be looked at
  for (const [i, count] of counts.entries()) {
    const full = Math.floor(sequences[i][1] / blockSize);
    for (let b = 0; b < count; b++) blockTables[i * width + b] = b < Math.min(shared, full) ? common[b] : next();
  }
  const cuSeqlensQ = new Int32Array(sequences.length + 1);
  for (const [i, [T]] of sequences.entries()) cuSeqlensQ[i + 1] = cuSeqlensQ[i] + T;
  const kvLengths = Int32Array.from(sequences, ([, keys]) => keys);
  return { options: { scale: D ** -0.5, blockSize, cuSeqlensQ, kvLengths, blockTables }, rows: total * blockSize };
}

export function pagedAttention(
  sizes: PagedSizes,
  more: {
    size?: number;
    special?: (rowOfKey: (sequence: number, key: number) => number) => InputSpec["special"];
    mayRound?: boolean;
    name?: string;
  } = {},
): OpCase {
  const { H, Hkv, D, sequences, shared = 0 } = sizes;
  const { mayRound = false } = more;
  const { options, rows } = pagedLayout(sizes);
  const { blockSize, blockTables, kvLengths } = options;
  const width = blockTables.length / kvLengths.length;
  const T = sequences.reduce((sum, [queries]) => sum + queries, 0);
  const fill = (_: number, noise: () => number): number => (more.size ?? 1) * noise();
  const rowOfKey = (i: number, key: number): number =>
    blockTables[i * width + Math.floor(key / blockSize)] * blockSize + (key % blockSize);
  const special = more.special?.(rowOfKey);
  return {
    op: "pagedAttention",
    name: `${more.name ?? ""}H=${H} Hkv=${Hkv} D=${D} block=${blockSize} shared=${shared} T/keys=${sequences.map(([t, keys]) => `${t}/${keys}`)}${mayRound ? " may round" : ""}`,
    out: [T, H, D],
    inputs: [
      { dtype: "f32", shape: [T, H, D], fill },
      { dtype: "f32", shape: [rows, Hkv, D], fill },
      { dtype: "f32", shape: [rows, Hkv, D], ...(special && { special }) },
    ],
    terms: [2],
    ...(mayRound && { bound: "attentionRounded" as const }),
    run: (backend, out, [q, k, v]) => backend.pagedAttention(out, q, k, v, { ...options, mayRound }),
  };
}

/** Codes and scales instead of numbers. */
export function pagedAttentionInt8(
  sizes: PagedSizes,
  more: { special?: InputSpec["special"]; name?: string } = {},
): OpCase {
  const { H, Hkv, D, sequences } = sizes;
  const { options, rows } = pagedLayout(sizes);
  const T = sequences.reduce((sum, [queries]) => sum + queries, 0);
  const codes = (): InputSpec => ({
    dtype: "i8",
    shape: [rows, Hkv, D],
    fill: (_, noise) => Math.round(127 * noise()),
  });
  const scales = (): InputSpec => ({ dtype: "f32", shape: [rows, Hkv], fill: (_, noise) => (1.5 + noise()) / 127 });
  return {
    op: "pagedAttentionInt8",
    name: `${more.name ?? ""}H=${H} Hkv=${Hkv} D=${D} T/keys=${sequences.map(([t, keys]) => `${t}/${keys}`)}`,
    out: [T, H, D],
    inputs: [
      { dtype: "f32", shape: [T, H, D] },
      codes(),
      scales(),
      codes(),
      { ...scales(), ...(more.special && { special: more.special }) },
    ],
    run: (backend, out, [q, k, kScales, v, vScales]) =>
      backend.pagedAttentionInt8(out, q, { codes: k, scales: kScales }, { codes: v, scales: vScales }, options),
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

const range = (count: number, f: (i: number) => readonly [number, number]): (readonly [number, number])[] =>
  Array.from({ length: count }, (_, i) => f(i));

const attentionCases: readonly OpCase[] = [
  // Decoding, lengths around blocks and slabs.
  ...[1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 127, 128, 129, 500, 513, 2100].map((keys, i) =>
    pagedAttention({ H: 4, Hkv: 2, D: [8, 12, 20, 64][i % 4], sequences: [[1, keys]] }),
  ),
  // A batch of many lengths; empty sequences; other blocks.
  pagedAttention({ H: 6, Hkv: 2, D: 16, sequences: range(20, (i) => [1, 1 + 13 * i]) }),
  pagedAttention({ H: 4, Hkv: 4, D: 9, blockSize: 8, sequences: range(7, (i) => [1, 5 + 9 * i]) }),
  pagedAttention({ H: 4, Hkv: 1, D: 24, blockSize: 40, sequences: range(5, (i) => [1 + i, 60 + 31 * i]) }),
  pagedAttention({
    H: 2,
    Hkv: 1,
    D: 8,
    sequences: [
      [0, 20],
      [1, 18],
      [0, 0],
      [2, 2],
      [0, 5],
    ],
  }),
  pagedAttention({ H: 2, Hkv: 1, D: 8, sequences: [] }),
  // Decoding beside chunks of prompts, few rows and many, with and without keys before.
  pagedAttention({
    H: 4,
    Hkv: 2,
    D: 16,
    sequences: [
      [1, 40],
      [37, 37],
      [1, 200],
      [20, 90],
    ],
  }),
  pagedAttention({
    H: 12,
    Hkv: 2,
    D: 128,
    sequences: [
      [1, 190],
      [11, 150],
      [1, 7],
      [3, 33],
    ],
  }),
  pagedAttention({
    H: 3,
    Hkv: 3,
    D: 72,
    sequences: [
      [130, 260],
      [1, 129],
      [25, 25],
    ],
  }),
  // Blocks in common.
  pagedAttention({
    H: 4,
    Hkv: 2,
    D: 16,
    shared: 3,
    sequences: [
      [1, 50],
      [1, 100],
      [30, 78],
      [1, 48],
      [1, 20],
    ],
  }),
  // Rounded where that is faster: chunks of prompts with and without keys before, decoding beside them, odd sizes, numbers too large for it.
  ...[16, 20, 72, 128].map((D, i) =>
    pagedAttention(
      {
        H: 6,
        Hkv: 2,
        D,
        shared: i,
        sequences: [
          [40 + i, 40 + i],
          [1, 200],
          [90, 300 + i],
          [9, 131],
        ],
      },
      { mayRound: true },
    ),
  ),
  pagedAttention(
    { H: 2, Hkv: 1, D: 64, sequences: [[40, 160]] },
    { mayRound: true, name: "huge value, ", special: (row) => ({ [row(0, 30) * 64 + 5]: 1e30 }) },
  ),

  // Scores above 100; values that are not finite reach the queries that see them, in their channel; a key that is NaN.
  pagedAttention(
    {
      H: 2,
      Hkv: 1,
      D: 64,
      sequences: [
        [1, 60],
        [20, 30],
      ],
    },
    { name: "large scores, ", size: 12 },
  ),
  ...[4, 40].map((T) =>
    pagedAttention(
      {
        H: 2,
        Hkv: 1,
        D: 12,
        sequences: [
          [T, 60 + T],
          [1, 50],
        ],
      },
      {
        name: "NaN and infinity in v, ",
        special: (row) => ({ [row(0, 58 + T) * 12 + 5]: NAN, [row(0, 57 + T) * 12 + 11]: INF, [row(1, 3) * 12]: NAN }),
      },
    ),
  ),
];

const int8Cases: readonly OpCase[] = [
  ...[1, 8, 15, 16, 17, 129, 700].map((keys, i) =>
    pagedAttentionInt8({ H: 4, Hkv: 2, D: [8, 12, 20, 64][i % 4], sequences: [[1, keys]] }),
  ),
  pagedAttentionInt8({ H: 6, Hkv: 2, D: 16, sequences: range(20, (i) => [1, 1 + 13 * i]) }),
  pagedAttentionInt8({
    H: 12,
    Hkv: 2,
    D: 128,
    sequences: [
      [1, 190],
      [40, 150],
      [0, 3],
      [3, 33],
    ],
  }),
  pagedAttentionInt8({
    H: 2,
    Hkv: 1,
    D: 9,
    sequences: [
      [70, 170],
      [1, 129],
      [25, 25],
    ],
  }),
  // The last position of the first sequence: its block is number 2, as the table begins there.
  pagedAttentionInt8(
    { H: 2, Hkv: 1, D: 9, sequences: [[3, 9]] },
    { name: "NaN scale, ", special: { [2 * 16 + 8]: NAN } },
  ),
];

function scatterRows(target: Shape, rows: readonly number[]): OpCase {
  const source = [rows.length, ...target.slice(1)];
  return {
    op: "scatterRows",
    name: `rows ${rows.length > 9 ? rows.length : rows} of ${target.join("×")}`,
    out: target,
    inputs: [
      { dtype: "i32", shape: [rows.length], fill: (i) => rows[i] },
      { dtype: "f32", shape: source, ...(elementCount(source) > 1 && { special: { 1: NAN } }) },
    ],
    run: (backend, out, [places, values]) => backend.scatterRows(out, places, values),
  };
}

const scatterCases: readonly OpCase[] = [
  scatterRows([1, 1, 1], [0]),
  scatterRows([9, 2, 3], [8, 0, 4]),
  scatterRows([5, 3, 4], []),
  scatterRows([7], [6, 5, 0, 1]),
  scatterRows(
    [1000, 2, 128],
    Array.from({ length: 300 }, (_, i) => (i * 7 + 11) % 1000),
  ),
];

/** Two cases, as the operation has two results: codes and scales. */
function scatterRowsInt8(
  [count, H, D]: readonly [number, number, number],
  rows: readonly number[],
  more: Pick<InputSpec, "fill" | "special"> & { name?: string } = {},
): OpCase[] {
  const inputs: InputSpec[] = [
    { dtype: "i32", shape: [rows.length], fill: (i) => rows[i] },
    { dtype: "f32", shape: [rows.length, H, D], ...more },
  ];
  const name = `${more.name ?? ""}rows ${rows.length > 9 ? rows.length : rows} of ${count}×${H}×${D}`;
  const beside = (backend: Backend, dtype: "i8" | "f32", shape: Shape): Operand => ({
    storage: backend.alloc(dtype, elementCount(shape)),
    shape,
    dtype,
  });
  return [
    {
      op: "scatterRowsInt8",
      name: `codes, ${name}`,
      out: [count, H, D],
      outDType: "i8",
      inputs,
      run: (backend, codes, [places, source]) =>
        backend.scatterRowsInt8({ codes, scales: beside(backend, "f32", [count, H]) }, places, source),
    },
    {
      op: "scatterRowsInt8",
      name: `scales, ${name}`,
      out: [count, H],
      inputs,
      run: (backend, scales, [places, source]) =>
        backend.scatterRowsInt8({ codes: beside(backend, "i8", [count, H, D]), scales }, places, source),
    },
  ];
}

const scatterInt8Cases: readonly OpCase[] = [
  ...[1, 7, 8, 9, 16, 72, 128].flatMap((D) => scatterRowsInt8([40, 2, D], [39, 0, 7, 8])),
  ...scatterRowsInt8([5, 3, 4], []),
  ...scatterRowsInt8(
    [700, 2, 64],
    Array.from({ length: 300 }, (_, i) => (i * 3 + 11) % 700),
  ),
  // Halves between codes; zeros; numbers so small that the scale is subnormal or zero; so large that squares are infinite.
  ...scatterRowsInt8([4, 1, 256], [3, 1], { name: "halves, ", fill: (i) => (i % 256 === 0 ? 127 : (i % 253) - 126.5) }),
  ...scatterRowsInt8([4, 2, 12], [2, 0], { name: "zeros, ", fill: () => 0 }),
  ...[1e-36, 1e-42, 1e-44, 1e-45, 1e38].flatMap((size) =>
    scatterRowsInt8([4, 1, 33], [1, 2], { name: `${size}, `, fill: (_, noise) => size * noise() }),
  ),
  ...scatterRowsInt8([6, 3, 10], [4, 1], { name: "NaN and infinity, ", special: { 13: NAN, 59: INF, 0: -INF } }),
];

export const PAGED_CASES: readonly OpCase[] = [...attentionCases, ...int8Cases, ...scatterCases, ...scatterInt8Cases];
