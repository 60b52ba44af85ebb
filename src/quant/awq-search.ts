/**
 * The result of an AWQ search as llm-awq dumps it (`awq.pt`): which scales and clips make the quantised model from the original one.
 * `{scale: [(previous op, (linears…), s)], clip: [(linear, max)]}`. Names are full names inside the language model.
 * Source: llm-awq `awq/quantize/pre_quant.py` (d6e797a).
 */
import type { HostArray } from "../core/dtype.ts";
import { WeightsError } from "../util/errors.ts";
import { toF32 } from "./packed-parts.ts";
import { PickledTensor, type PickleValue } from "./pickle-values.ts";
import type { TorchArchive } from "./torch-archive.ts";

/** Inputs of `linears` were multiplied by `scales`; `previous` absorbs the inverse. */
export interface AwqScale {
  readonly previous: string;
  readonly linears: readonly string[];
  /** [C] */
  readonly scales: Float32Array;
}

/** Weights of `linear` are clamped to ±max of their group. */
export interface AwqClip {
  readonly linear: string;
  /** [M, groups] */
  readonly shape: readonly [M: number, groups: number];
  readonly max: Float32Array;
}

export interface AwqSearch {
  readonly scales: readonly AwqScale[];
  readonly clips: readonly AwqClip[];
}

/** @throws WeightsError when the archive holds anything else. */
export function readAwqSearch(archive: TorchArchive): AwqSearch {
  const { value, label } = archive;
  const wrong = (what: string): WeightsError =>
    new WeightsError("awq", `${label} is no result of an AWQ search: ${what}`);
  if (!(value instanceof Map)) throw wrong("expected a dictionary");
  const listOf = (key: string): readonly PickleValue[] => {
    const list: unknown = (value as ReadonlyMap<string | number, PickleValue>).get(key);
    if (!Array.isArray(list)) throw wrong(`expected a list "${key}"`);
    return list as readonly PickleValue[];
  };
  const floats = (tensor: PickleValue | undefined): Float32Array => {
    if (!(tensor instanceof PickledTensor)) throw wrong("expected a tensor");
    const { dtype } = tensor.storage;
    if (dtype !== "f32" && dtype !== "f16" && dtype !== "bf16") throw wrong(`expected floats, got ${dtype}`);
    return toF32(archive.data(tensor) as Extract<HostArray, Float32Array | Uint16Array>, dtype);
  };
  return {
    scales: listOf("scale").map((item) => {
      const [previous, linears, scales] = Array.isArray(item) ? (item as readonly PickleValue[]) : [];
      if (typeof previous !== "string" || !isTexts(linears)) throw wrong("expected (name, names, scales)");
      return { previous, linears, scales: floats(scales) };
    }),
    clips: listOf("clip").map((item) => {
      const [linear, max] = Array.isArray(item) ? (item as readonly PickleValue[]) : [];
      if (typeof linear !== "string" || !(max instanceof PickledTensor)) throw wrong("expected (name, max)");
      const [M, groups, last = 1] = max.shape;
      if (max.shape.length < 2 || max.shape.length > 3 || last !== 1)
        throw wrong(`clip of shape [${max.shape.join(", ")}]`);
      return { linear, shape: [M, groups], max: floats(max) };
    }),
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
