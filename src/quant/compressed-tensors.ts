/**
 * compressed-tensors, as vLLM and llm-compressor write it and as this package writes quantised models, for N outputs and K inputs.
 *
 * pack-quantized, 4 bit: w[n, k] = (code − zero) · scale
 * | part              | dtype       | shape                   | meaning                                            |
 * | ----------------- | ----------- | ----------------------- | -------------------------------------------------- |
 * | weight_packed     | i32         | [N, ⌈K/8⌉]              | nibbles in order along K; signed value + 8         |
 * | weight_scale      | float       | [N, G]                  |                                                    |
 * | weight_zero_point | i32 or i8   | [⌈N/8⌉, G] or [N, G]    | packed along N, signed value + 8; or as it is       |
 * | weight_shape      | i64 or i32  | [2]                     | N, K                                               |
 * | weight_g_idx      | i32         | [K]                     | group of each input, with activation ordering      |
 *
 * int-quantized, 8 bit: w[n, k] = code · scale
 * | weight i8 [N, K] | weight_scale float [N, 1] |
 *
 * The tensors describe themselves; the configuration is checked against them. Groups of "targets" are not matched by name, because
 * that would run regular expressions from the file.
 * Source: compressed-tensors `compressors/quantized_compressors/{pack_quantized,naive_quantized}.py` (52792be).
 */
import type { Int4Weight } from "../core/quantized-weight.ts";
import { formatShape } from "../core/shape.ts";
import { contiguousGroupSize, denseWithGroupIndex, readGroupIndex, withGroupIndex } from "./group-index.ts";
import {
  FLOATS,
  groupsOf,
  type PackedFormat,
  type PackedLinear,
  type PartReader,
  toKernelGroups,
  transposedBytes,
  transposedWords,
  unpackNibbles,
} from "./packed-parts.ts";

/** One way in which weights are stored, from `config_groups`. */
export interface CompressedWeights {
  readonly bits: 4 | 8;
  /** Inputs per group; null: one group per row. */
  readonly groupSize: number | null;
  readonly isSymmetric: boolean;
}

/** @param weights What the configuration allows; each linear must be one of them. */
export function packQuantizedFormat(weights: readonly CompressedWeights[]): PackedFormat {
  return {
    name: "compressed-tensors pack-quantized",
    marker: ".weight_packed",
    suffixes: [".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx"],
    linear: (parts) => packedLinear(parts, weights),
  };
}

export function intQuantizedFormat(weights: readonly CompressedWeights[]): PackedFormat {
  return {
    name: "compressed-tensors int-quantized",
    marker: ".weight_scale",
    suffixes: [".weight_scale", ".weight_zero_point"],
    linear: (parts) => int8Linear(parts, weights),
  };
}

function packedLinear(parts: PartReader, weights: readonly CompressedWeights[]): PackedLinear {
  const [N, K] = readShape(parts);
  const [rows, words] = parts.shape("weight_packed", ["i32"], 2);
  if (rows !== N || words !== Math.ceil(K / 8)) {
    if (rows === N && words === Math.ceil(K / 4))
      throw parts.unsupported("8-bit weights packed into words are not read");
    throw parts.error(`weight_packed has shape ${formatShape([rows, words])}, expected [${N}, ${Math.ceil(K / 8)}]`);
  }
  if (K % 2 !== 0) throw parts.unsupported(`an odd number of inputs (${K}) is not read`);
  const [, G] = parts.shape("weight_scale", FLOATS, 2);
  parts.expectShape("weight_scale", FLOATS, [N, G]);
  if (G === 0 || K % G !== 0) throw parts.error(`${G} groups do not divide ${K} inputs`);
  const groupSize = K / G;
  groupsOf(parts, K, groupSize);
  const isSymmetric = parts.info("weight_zero_point") === null;
  const allowed = weights.some(
    (w) =>
      w.bits === 4 && w.isSymmetric === isSymmetric && (w.groupSize === null ? G === 1 : w.groupSize === groupSize),
  );
  if (!allowed) {
    const kind = isSymmetric ? "symmetric" : "with zero points";
    throw parts.error(`4 bit in groups of ${groupSize}, ${kind}, is none of what quantization_config announces`);
  }
  const readZeros = zeroReader(parts, N, G);
  const index = readGroupIndex(parts, "weight_g_idx", K, G);
  const isInOrder = index === null || index.every((group, k) => group === Math.floor(k / groupSize));
  const runSize = isInOrder ? groupSize : contiguousGroupSize(index, groupSize);
  const stored = (): Int4Weight => ({
    format: "int4",
    shape: [N, K],
    groupSize,
    codes: rowBytes(parts.bytes("weight_packed"), N, words * 4, K / 2),
    scales: parts.floats("weight_scale"),
    zeros: readZeros(),
  });
  const names = ["weight_packed", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx"];
  return {
    shape: [N, K],
    bits: 4,
    parts: names.filter((part) => parts.info(part)).map((part) => parts.name(part)),
    isDense: () => runSize === null,
    quantized: () => {
      const weight = stored();
      return toKernelGroups(isInOrder || !index || !runSize ? weight : withGroupIndex(weight, index, runSize));
    },
    dense: () => denseWithGroupIndex(stored(), index ?? new Int32Array(K)),
  };
}

/** Zero points [N, G], 0 … 15. Without a tensor: 8, the middle. */
function zeroReader(parts: PartReader, N: number, G: number): () => Uint8Array {
  const info = parts.info("weight_zero_point");
  if (!info) return () => new Uint8Array(N * G).fill(8);
  if (info.dtype === "i8") {
    parts.expectShape("weight_zero_point", ["i8"], [N, G]);
    return () =>
      Uint8Array.from(parts.bytes("weight_zero_point"), (byte) => {
        const zero = ((byte << 24) >> 24) + 8;
        if (zero < 0 || zero > 15) throw parts.error(`weight_zero_point holds ${zero - 8}, expected −8 … 7`);
        return zero;
      });
  }
  const words = Math.ceil(N / 8);
  parts.expectShape("weight_zero_point", ["i32"], [words, G]);
  return () => {
    const byGroup = unpackNibbles(transposedWords(parts.words("weight_zero_point"), words, G), G, N, words);
    return transposedBytes(byGroup, G, N);
  };
}

function readShape(parts: PartReader): readonly [N: number, K: number] {
  parts.expectShape("weight_shape", ["i64", "i32"], [2]);
  const words = parts.words("weight_shape");
  const isWide = parts.info("weight_shape")?.dtype === "i64";
  const [N, K] = isWide ? [words[0], words[2]] : words;
  if (!(N > 0 && K > 0) || (isWide && (words[1] !== 0 || words[3] !== 0))) {
    throw parts.error(`weight_shape holds [${[...words].join(", ")}], expected two sizes`);
  }
  return [N, K];
}

/** The first `wanted` bytes of each row; the same memory where rows have no padding. */
function rowBytes(bytes: Uint8Array, rows: number, stored: number, wanted: number): Uint8Array {
  if (stored === wanted) return bytes;
  const out = new Uint8Array(rows * wanted);
  for (let row = 0; row < rows; row++) {
    out.set(bytes.subarray(row * stored, row * stored + wanted), row * wanted);
  }
  return out;
}

function int8Linear(parts: PartReader, weights: readonly CompressedWeights[]): PackedLinear {
  const [N, K] = parts.shape("weight", ["i8"], 2);
  if (!weights.some((w) => w.bits === 8 && w.groupSize === null && w.isSymmetric)) {
    throw parts.error("8 bit per output channel, symmetric, is none of what quantization_config announces");
  }
  const rank = parts.info("weight_scale")?.shape.length ?? 0;
  const [rows, columns = 1] = parts.shape("weight_scale", FLOATS, rank);
  const isPerTensor = rank === 0 || (rank === 1 && rows === 1 && N !== 1);
  if (rank > 2 || (!isPerTensor && (rows !== N || columns !== 1))) {
    throw parts.unsupported(`8-bit weights with weight_scale of shape ${formatShape([rows, columns])} are not read`);
  }
  if (parts.info("weight_zero_point")) {
    throw parts.unsupported("8-bit weights with zero points are not read, only symmetric ones");
  }
  return {
    shape: [N, K],
    bits: 8,
    parts: ["weight", "weight_scale"].map((part) => parts.name(part)),
    quantized: () => {
      const scales = parts.floats("weight_scale");
      const bytes = parts.bytes("weight");
      return {
        format: "int8",
        shape: [N, K],
        codes: new Int8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length),
        scales: isPerTensor ? new Float32Array(N).fill(scales[0]) : scales,
      };
    },
  };
}
