/** Op cases of attention: prefill, decode, a chunk behind a cache, grouped heads, segments, NaN and infinity; and where operands may be rounded. */
import type { Shape } from "../../src/core/shape.ts";
import type { OpCase } from "./cases.ts";
import { type InputSpec, sizes } from "./inputs.ts";

const { NaN: NAN, POSITIVE_INFINITY: INF } = Number;

const rows = (shape: Shape, more: Partial<InputSpec> = {}): InputSpec => ({ dtype: "f32", shape, ...more });

export interface AttentionSizes {
  readonly T: number;
  readonly S: number;
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
  readonly causal: boolean;
}

export function attention(
  { T, S, H, Hkv, D, causal }: AttentionSizes,
  more: {
    q?: readonly number[];
    k?: readonly number[];
    size?: number;
    special?: InputSpec["special"];
    name?: string;
    mayRound?: boolean;
  } = {},
): OpCase {
  const size = more.size ?? 1;
  const fill = (_: number, noise: () => number) => size * noise();
  const segments = more.q ? ` q=${more.q} k=${more.k}` : "";
  const options = {
    scale: D ** -0.5,
    causal,
    cuSeqlensQ: more.q ? Int32Array.from(more.q) : null,
    cuSeqlensK: more.k ? Int32Array.from(more.k) : null,
    mayRound: more.mayRound ?? false,
  };
  return {
    op: "attention",
    name: `${more.name ?? ""}${sizes({ T, S, H, Hkv, D, causal })}${segments}${more.mayRound ? " may round" : ""}`,
    out: [T, H, D],
    inputs: [
      rows([T, H, D], { fill }),
      rows([S, Hkv, D], { fill }),
      rows([S, Hkv, D], more.special ? { special: more.special } : {}),
    ],
    terms: [2],
    ...(more.mayRound && { bound: "attentionRounded" as const }),
    run: (backend, out, [q, k, v]) => backend.attention(out, q, k, v, options),
  };
}

const roundedCases: readonly OpCase[] = [
  ...[1, 2, 16, 17, 32, 33, 72, 80, 128].flatMap((D, i) => [
    attention({ T: 40 + i, S: 40 + i, H: 4, Hkv: 2, D, causal: true }, { mayRound: true }),
    attention({ T: 61 + i, S: 139 + i, H: 3, Hkv: 3, D, causal: false }, { mayRound: true }),
    attention({ T: 90, S: 300 + i, H: 2, Hkv: 1, D, causal: true }, { mayRound: true }),
  ]),
  attention({ T: 256, S: 256, H: 2, Hkv: 2, D: 72, causal: false }, { mayRound: true }),
  attention(
    { T: 75, S: 75, H: 2, Hkv: 2, D: 18, causal: false },
    { q: [0, 25, 50, 75], k: [0, 25, 50, 75], mayRound: true },
  ),
  attention(
    { T: 40, S: 44, H: 2, Hkv: 1, D: 8, causal: false },
    { name: "no keys, ", q: [0, 30, 40], k: [0, 44, 44], mayRound: true },
  ),
  // Numbers that bf16 products could not hold, or that are none, are left to f32.
  attention(
    { T: 60, S: 60, H: 2, Hkv: 1, D: 16, causal: true },
    { name: "NaN in v, ", special: { [20 * 16 + 5]: NAN }, mayRound: true },
  ),
  attention(
    { T: 60, S: 60, H: 2, Hkv: 2, D: 16, causal: true },
    { name: "infinity in v, ", special: { [33 * 32 + 1]: INF }, mayRound: true },
  ),
];

const exactCases: readonly OpCase[] = [
  // Prefill, decode and a chunk behind a cache, grouped heads, head sizes around vectors.
  ...[1, 2, 5, 8, 16, 18, 20, 64, 72, 80, 128].flatMap((D, i) => [
    attention({ T: 7 + i, S: 7 + i, H: 4, Hkv: 2, D, causal: true }),
    attention({ T: 9 + i, S: 21, H: 3, Hkv: 3, D, causal: false }),
    attention({ T: 1, S: 50 + i, H: 6, Hkv: 1, D, causal: true }),
    attention({ T: 5, S: 37 + i, H: 3, Hkv: 1, D, causal: true }),
  ]),
  ...[1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200].flatMap((S) => [
    attention({ T: S, S, H: 2, Hkv: 1, D: 12, causal: true }),
    attention({ T: 3, S, H: 2, Hkv: 2, D: 24, causal: false }),
  ]),
  attention({ T: 1, S: 1, H: 1, Hkv: 1, D: 4, causal: true }),
  attention({ T: 1, S: 1500, H: 12, Hkv: 2, D: 128, causal: true }),
  attention({ T: 0, S: 5, H: 2, Hkv: 1, D: 8, causal: false }),
  attention({ T: 256, S: 256, H: 2, Hkv: 2, D: 72, causal: false }),
  // Segments: tiles of a vision tower, packed sequences, one behind a cache, empty ones.
  attention({ T: 75, S: 75, H: 2, Hkv: 2, D: 18, causal: false }, { q: [0, 25, 50, 75], k: [0, 25, 50, 75] }),
  attention({ T: 40, S: 40, H: 4, Hkv: 2, D: 16, causal: true }, { q: [0, 1, 18, 40], k: [0, 1, 18, 40] }),
  attention({ T: 6, S: 60, H: 4, Hkv: 2, D: 16, causal: true }, { q: [0, 1, 5, 6], k: [0, 33, 40, 60] }),
  attention({ T: 9, S: 12, H: 2, Hkv: 2, D: 8, causal: false }, { q: [0, 0, 4, 4, 9], k: [0, 3, 7, 7, 12] }),
  attention({ T: 5, S: 4, H: 2, Hkv: 1, D: 8, causal: false }, { name: "no keys, ", q: [0, 2, 5], k: [0, 4, 4] }),
  // Scores above 100: e^score needs its maximum.
  attention({ T: 20, S: 20, H: 2, Hkv: 1, D: 64, causal: true }, { name: "large scores, ", size: 12 }),
  // A value that is not finite spoils the queries that see it, in its own channel only.
  attention(
    { T: 10, S: 10, H: 2, Hkv: 1, D: 12, causal: true },
    { name: "NaN in v, ", special: { [6 * 12 + 5]: NAN } },
  ),
  attention(
    { T: 10, S: 10, H: 2, Hkv: 2, D: 12, causal: true },
    { name: "infinity in v, ", special: { [9 * 24 + 1]: INF } },
  ),
];

export const ATTENTION_CASES: readonly OpCase[] = [...exactCases, ...roundedCases];
