/**
 * GPTQ, 4 bit, for a layer with K inputs and N outputs:
 *
 * | part    | dtype | shape     | meaning                                                                   |
 * | ------- | ----- | --------- | ------------------------------------------------------------------------- |
 * | qweight | i32   | [K/8, N]  | nibble i of word [r, n] is the code of input 8r + i: packed along K       |
 * | qzeros  | i32   | [G, N/8]  | nibble i of word [g, w] is the zero of output 8w + i; v1 stores zero − 1   |
 * | scales  | float | [G, N]    |                                                                           |
 * | g_idx   | i32   | [K]       | group of each input; scattered with `desc_act`                            |
 *
 * w[n, k] = (code − zero) · scale[g_idx[k], n]. A v1 zero is (stored + 1) mod 16.
 * A scattered g_idx has no canonical form: the layer becomes dense halves (see group-index.ts).
 * Source: AutoGPTQ `auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py` (9f7d370); v2: `checkpoint_format: gptq_v2`.
 */
import type { Int4Weight } from "../core/quantized-weight.ts";
import { contiguousGroupSize, denseWithGroupIndex, readGroupIndex, withGroupIndex } from "./group-index.ts";
import {
  FLOATS,
  groupsOf,
  type PackedFormat,
  type PackedLinear,
  type PartReader,
  toKernelGroups,
  transposedBytes,
  transposedFloats,
  transposedWords,
  unpackNibbles,
} from "./packed-parts.ts";

export interface GptqOptions {
  /** Inputs per group; −1: one group per row. */
  readonly groupSize: number;
  /** What was taken off the zero points before they were stored: 1 in v1, 0 in v2. */
  readonly zeroOffset: 0 | 1;
}

export function gptqFormat(options: GptqOptions): PackedFormat {
  return {
    name: `GPTQ ${options.zeroOffset === 1 ? "v1" : "v2"}`,
    marker: ".qweight",
    suffixes: [".qzeros", ".scales", ".g_idx"],
    linear: (parts) => gptqLinear(parts, options),
  };
}

function gptqLinear(parts: PartReader, { groupSize, zeroOffset }: GptqOptions): PackedLinear {
  const [words, N] = parts.shape("qweight", ["i32"], 2);
  const K = words * 8;
  const rowGroup = groupSize === -1 ? K : groupSize;
  const G = groupsOf(parts, K, rowGroup);
  parts.expectShape("scales", FLOATS, [G, N]);
  parts.expectShape("qzeros", ["i32"], [G, Math.floor(N / 8)]);
  if (N % 8 !== 0) throw parts.error(`${N} outputs, expected a multiple of 8`);
  const index = readGroupIndex(parts, "g_idx", K, G);
  const isInOrder = index === null || index.every((group, k) => group === Math.floor(k / rowGroup));
  const runSize = isInOrder ? rowGroup : contiguousGroupSize(index, rowGroup);

  /** In the stored groups, whichever columns belong to them. */
  const stored = (): Int4Weight => ({
    format: "int4",
    shape: [N, K],
    groupSize: rowGroup,
    codes: new Uint8Array(transposedWords(parts.words("qweight"), words, N).buffer),
    scales: transposedFloats(parts.floats("scales"), G, N),
    zeros: transposedBytes(
      unpackNibbles(parts.words("qzeros"), G, N, N / 8).map((zero) => (zero + zeroOffset) & 15),
      G,
      N,
    ),
  });
  return {
    shape: [N, K],
    bits: 4,
    parts: ["qweight", "qzeros", "scales", ...(index ? ["g_idx"] : [])].map((part) => parts.name(part)),
    isDense: () => runSize === null,
    quantized: () => {
      const weight = stored();
      return toKernelGroups(isInOrder || !index || !runSize ? weight : withGroupIndex(weight, index, runSize));
    },
    dense: () => denseWithGroupIndex(stored(), index ?? new Int32Array(K)),
  };
}
