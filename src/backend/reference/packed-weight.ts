/** Packed weights of the reference: the canonical form itself. */
import { type QuantizedWeight, quantizedBytes, quantizedRows } from "../../core/quantized-weight.ts";
import type { PackedWeight } from "../backend.ts";
import { kernelGroupSize } from "../packable.ts";

interface ReferencePacked extends PackedWeight {
  readonly weight: QuantizedWeight;
}

export function pack(weight: QuantizedWeight): PackedWeight {
  kernelGroupSize(weight); // refuses what no kernel takes
  return packed(weight);
}

export function packedRows(weight: PackedWeight, rows: number): PackedWeight {
  return packed(quantizedRows(canonical(weight), 0, rows));
}

/** The weight behind a packed one. */
export function canonical(weight: PackedWeight): QuantizedWeight {
  return (weight as ReferencePacked).weight;
}

function packed(weight: QuantizedWeight): ReferencePacked {
  return { format: weight.format, shape: weight.shape, byteLength: quantizedBytes(weight), weight };
}
