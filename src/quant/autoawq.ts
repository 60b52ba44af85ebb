/**
 * AutoAWQ, 4 bit, for a layer with K inputs and N outputs; w[n, k] = (code − zero) · scale, zeros unshifted.
 *
 * | version   | qweight            | qzeros              | scales          | packed along                              |
 * | --------- | ------------------ | ------------------- | --------------- | ----------------------------------------- |
 * | gemm      | i32 [K, N/8]       | i32 [K/G, N/8]      | [K/G, N]        | N: output 8w + j in nibble 0 4 1 5 2 6 3 7 |
 * | gemv      | i32 [N, K/8]       | i32 [N, Z]          | [N, 8Z]         | K, in order                               |
 * | gemv_fast | i16 [N/4, K]       | float [8Z, N] = −s·z | [8Z, N]        | as llm-awq v2 (llm-awq.ts)                |
 *
 * 8Z is K/G rounded up to the padding of its kernels. Source: AutoAWQ `awq/modules/linear/{gemm,gemv,gemv_fast}.py`,
 * `awq/utils/packing_utils.py` (88e4c76).
 */
import { llmAwqV1Linear, llmAwqV2Linear } from "./llm-awq.ts";
import {
  FLOATS,
  groupsOf,
  type PackedFormat,
  type PackedLinear,
  type PartReader,
  toKernelGroups,
  transposedBytes,
  transposedFloats,
  unpackNibbles,
} from "./packed-parts.ts";

export type AutoAwqVersion = "gemm" | "gemv" | "gemv_fast";

export interface AutoAwqOptions {
  readonly version: AutoAwqVersion;
  /** Inputs per group; −1: one group per row; null: found from the padding of the scales, gemv only. */
  readonly groupSize: number | null;
}

/** Nibble that holds output 8w + j. */
const GEMM_ORDER: readonly number[] = [0, 4, 1, 5, 2, 6, 3, 7];
/** Words of a row that are unpacked together: one cache line of each. */
const WORD_BLOCK = 16;

export function autoAwqFormat({ version, groupSize }: AutoAwqOptions): PackedFormat {
  return {
    name: `AutoAWQ ${version}`,
    marker: ".qweight",
    suffixes: [".qzeros", ".scales"],
    linear: (parts) => {
      switch (version) {
        case "gemm":
          return gemmLinear(parts, groupSize ?? -1);
        case "gemv":
          return llmAwqV1Linear(parts, groupSize);
        case "gemv_fast":
          return llmAwqV2Linear(parts, groupSize, "qzeros");
        default:
          return version satisfies never;
      }
    },
  };
}

function gemmLinear(parts: PartReader, groupSize: number): PackedLinear {
  const [K, words] = parts.shape("qweight", ["i32"], 2);
  const N = words * 8;
  const rowGroup = groupSize === -1 ? K : groupSize;
  const G = groupsOf(parts, K, rowGroup);
  parts.expectShape("scales", FLOATS, [G, N]);
  parts.expectShape("qzeros", ["i32"], [G, words]);
  return {
    shape: [N, K],
    bits: 4,
    parts: ["qweight", "qzeros", "scales"].map((part) => parts.name(part)),
    quantized: () =>
      toKernelGroups({
        format: "int4",
        shape: [N, K],
        groupSize: rowGroup,
        codes: gemmCodes(parts.words("qweight"), K, words),
        scales: transposedFloats(parts.floats("scales"), G, N),
        zeros: transposedBytes(unpackNibbles(parts.words("qzeros"), G, N, words, GEMM_ORDER), G, N),
      }),
  };
}

/** Canonical codes [N, K/2] from words [K, N/8]. K is even because groups are. */
function gemmCodes(qweight: Int32Array, K: number, words: number): Uint8Array {
  const rowBytes = K / 2;
  const codes = new Uint8Array(words * 8 * rowBytes);
  for (let word0 = 0; word0 < words; word0 += WORD_BLOCK) {
    const wordEnd = Math.min(words, word0 + WORD_BLOCK);
    for (let k = 0; k < K; k += 2) {
      for (let word = word0; word < wordEnd; word++) {
        const even = qweight[k * words + word];
        const odd = qweight[(k + 1) * words + word];
        // Written out: with a loop over GEMM_ORDER this takes twice as long.
        const at = word * 8 * rowBytes + (k >> 1);
        codes[at] = (even & 15) | ((odd & 15) << 4);
        codes[at + rowBytes] = ((even >>> 16) & 15) | ((odd >>> 12) & 0xf0);
        codes[at + 2 * rowBytes] = ((even >>> 4) & 15) | (odd & 0xf0);
        codes[at + 3 * rowBytes] = ((even >>> 20) & 15) | ((odd >>> 16) & 0xf0);
        codes[at + 4 * rowBytes] = ((even >>> 8) & 15) | ((odd >>> 4) & 0xf0);
        codes[at + 5 * rowBytes] = ((even >>> 24) & 15) | ((odd >>> 20) & 0xf0);
        codes[at + 6 * rowBytes] = ((even >>> 12) & 15) | ((odd >>> 8) & 0xf0);
        codes[at + 7 * rowBytes] = (even >>> 28) | ((odd >>> 24) & 0xf0);
      }
    }
  }
  return codes;
}
