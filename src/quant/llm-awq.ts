/**
 * llm-awq, 4 bit, for a layer with K inputs and N outputs.
 *
 * v2 (`*-v2.pt`, the released NVILA AWQ files): w[n, k] = code · scale + scaled zero
 * | part         | dtype | shape    | meaning                                     |
 * | ------------ | ----- | -------- | ------------------------------------------- |
 * | qweight      | i16   | [N/4, K] | four outputs interleaved in blocks of 64 inputs |
 * | scales       | float | [R, N]   | R: groups, padded with zeros                |
 * | scaled_zeros | float | [R, N]   | −(scale · zero), rounded to the stored type |
 * Inside a block, output t of four owns words 16t … 16t + 15; words 8h + 2c and 8h + 2c + 1 hold, in nibble a, inputs
 * 32h + 8a + 2c and the one behind it.
 *
 * v1 (older `.pt`, and AutoAWQ "gemv"): w[n, k] = (code − zero) · scale
 * | qweight i32 [N, K/8] | qzeros i32 [N, R/8] | scales float [N, R] | nibbles in order |
 *
 * The zero point of v2 is recovered as round(−scaled zero / scale). Where that is no integer of 0 … 15 to within 0.05, the layer
 * becomes dense halves.
 * Source: llm-awq `awq/quantize/qmodule.py`, `tinychat/offline-weight-repacker.py` (d6e797a).
 */
import { f32ToF16 } from "../util/half.ts";
import {
  FLOATS,
  groupsOf,
  type PackedFormat,
  type PackedLinear,
  type PartReader,
  toKernelGroups,
  transposedFloats,
  unpackNibbles,
} from "./packed-parts.ts";

const BLOCK = 64;
/** How far −scaled zero / scale may be from an integer: the rounding of both to halves moves it by less than 0.02. */
const ZERO_TOLERANCE = 0.05;

/** @param groupSize Null: found from the padding of the scales. */
export function llmAwqFormat(version: "v1" | "v2", groupSize: number | null): PackedFormat {
  return version === "v2"
    ? {
        name: "llm-awq v2",
        marker: ".qweight",
        suffixes: [".scaled_zeros", ".scales"],
        linear: (parts) => llmAwqV2Linear(parts, groupSize, "scaled_zeros"),
      }
    : {
        name: "llm-awq v1",
        marker: ".qweight",
        suffixes: [".qzeros", ".scales"],
        linear: (parts) => llmAwqV1Linear(parts, groupSize),
      };
}

export function llmAwqV1Linear(parts: PartReader, wantedGroup: number | null): PackedLinear {
  const [N, words] = parts.shape("qweight", ["i32"], 2);
  const K = words * 8;
  const [, R] = parts.shape("scales", FLOATS, 2);
  parts.expectShape("scales", FLOATS, [N, R]);
  parts.expectShape("qzeros", ["i32"], [N, Math.ceil(R / 8)]);
  const groupSize = groupSizeOf(parts, K, R, wantedGroup);
  const G = groupsOf(parts, K, groupSize);
  return {
    shape: [N, K],
    bits: 4,
    parts: ["qweight", "qzeros", "scales"].map((part) => parts.name(part)),
    quantized: () =>
      toKernelGroups({
        format: "int4",
        shape: [N, K],
        groupSize,
        codes: parts.bytes("qweight"),
        scales: leftColumns(parts.floats("scales"), N, R, G),
        zeros: unpackNibbles(parts.words("qzeros"), N, G, Math.ceil(R / 8)),
      }),
  };
}

/** @param zerosPart "scaled_zeros" here, "qzeros" in AutoAWQ's gemv_fast. */
export function llmAwqV2Linear(parts: PartReader, wantedGroup: number | null, zerosPart: string): PackedLinear {
  const [rows, K] = parts.shape("qweight", ["i16"], 2);
  const N = rows * 4;
  const [R] = parts.shape("scales", FLOATS, 2);
  parts.expectShape("scales", FLOATS, [R, N]);
  parts.expectShape(zerosPart, FLOATS, [R, N]);
  if (K % BLOCK !== 0) throw parts.error(`${K} inputs, expected a multiple of ${BLOCK}`);
  const groupSize = groupSizeOf(parts, K, R, wantedGroup);
  const G = groupsOf(parts, K, groupSize);
  const scalesOf = (part: string): Float32Array => transposedFloats(parts.floats(part).subarray(0, G * N), G, N);
  const zerosOf = (): Uint8Array | null => integerZeros(scalesOf("scales"), scalesOf(zerosPart));
  const codesOf = (): Uint8Array => interleavedCodes(parts.source.data(parts.name("qweight")) as Int16Array, rows, K);
  return {
    shape: [N, K],
    bits: 4,
    parts: ["qweight", zerosPart, "scales"].map((part) => parts.name(part)),
    isDense: () => zerosOf() === null,
    quantized: () => {
      const zeros = zerosOf();
      if (!zeros) throw parts.error("zero points changed while they were read");
      const scales = scalesOf("scales");
      return toKernelGroups({ format: "int4", shape: [N, K], groupSize, codes: codesOf(), scales, zeros });
    },
    dense: () => {
      const codes = codesOf();
      const [scales, offsets] = [scalesOf("scales"), scalesOf(zerosPart)];
      return Uint16Array.from({ length: N * K }, (_, i) => {
        const g = Math.floor(i / groupSize); // rows hold whole groups
        const code = (codes[i >> 1] >> (4 * (i & 1))) & 15;
        return f32ToF16(code * scales[g] + offsets[g]);
      });
    },
  };
}

/** −offset / scale as integers 0 … 15, or null when one is none. A scale of zero goes with an offset of zero. */
function integerZeros(scales: Float32Array, offsets: Float32Array): Uint8Array | null {
  const zeros = new Uint8Array(scales.length);
  for (let i = 0; i < scales.length; i++) {
    if (scales[i] === 0 && offsets[i] === 0) continue;
    const exact = -offsets[i] / scales[i];
    const zero = Math.round(exact);
    if (!(Math.abs(exact - zero) <= ZERO_TOLERANCE) || zero < 0 || zero > 15) return null;
    zeros[i] = zero;
  }
  return zeros;
}

/** Canonical codes [N, K/2] from words [N/4, K]. */
function interleavedCodes(words: Int16Array, rows: number, K: number): Uint8Array {
  const codes = new Uint8Array(rows * 4 * (K / 2));
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < K; block += BLOCK) {
      for (let t = 0; t < 4; t++) {
        const from = row * K + block + t * 16;
        const to = ((row * 4 + t) * K + block) / 2;
        for (let h = 0; h < 2; h++) {
          for (let c = 0; c < 4; c++) {
            const even = words[from + h * 8 + c * 2];
            const odd = words[from + h * 8 + c * 2 + 1];
            const at = to + h * 16 + c;
            codes[at] = (even & 15) | ((odd & 15) << 4);
            codes[at + 4] = ((even >> 4) & 15) | (odd & 0xf0);
            codes[at + 8] = ((even >> 8) & 15) | ((odd >> 4) & 0xf0);
            codes[at + 12] = ((even >> 12) & 15) | ((odd >> 8) & 0xf0);
          }
        }
      }
    }
  }
  return codes;
}

/** Columns of scales that the kernels of llm-awq want for K inputs: groups, padded. */
function paddedGroups(K: number, groupSize: number): number {
  const words = Math.ceil(Math.floor(K / groupSize) / 8);
  const multiple = groupSize >= 128 ? 1 : groupSize === 64 ? 2 : 4;
  return Math.ceil(words / multiple) * multiple * 8;
}

/** The group size that R columns of scales mean. The files do not tell it, their padding does. */
function groupSizeOf(parts: PartReader, K: number, R: number, wanted: number | null): number {
  const candidates = wanted === null ? [128, 64, 32] : [wanted === -1 ? K : wanted];
  const groupSize = candidates.find((size) => paddedGroups(K, size) === R);
  if (groupSize === undefined) {
    throw parts.error(`${R} columns of scales do not fit ${K} inputs in groups of ${candidates.join(" or ")}`);
  }
  return groupSize;
}

/** values[rows, 0 … count) of values[rows, columns]. */
function leftColumns(values: Float32Array, rows: number, columns: number, count: number): Float32Array {
  const out = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * columns, row * columns + count), row * count);
  }
  return out;
}
