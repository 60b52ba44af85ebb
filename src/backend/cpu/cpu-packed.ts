/** Packed weights of the `cpu` backend: bytes in the layout of native/packed_layout.h, and what their header says. */
import type { QuantizedWeight } from "../../core/quantized-weight.ts";
import { WeightsError } from "../../util/errors.ts";
import type { PackedWeight } from "../backend.ts";
import { kernelGroupSize } from "../packable.ts";
import type { Binding } from "./binding.ts";
import type { NativeContext } from "./native-types.ts";

/** Name and version of the layout; the header's first bytes. */
export const PACKED_LAYOUT = "NVPANEL1";
const HEADER_BYTES = 64;

export interface CpuPacked extends PackedWeight {
  readonly bytes: Uint8Array;
  /** Inputs that share a scale; 0 for int8. */
  readonly group: number;
}

/** @throws UnsupportedError when no kernel takes the weight's groups. */
export function packForCpu(native: Binding, context: NativeContext, weight: QuantizedWeight): CpuPacked {
  const [M, C] = weight.shape;
  const group = kernelGroupSize(weight);
  const buffer =
    weight.format === "int8"
      ? native.packInt8(context, weight.codes, weight.scales, M, C)
      : native.packInt4(context, weight.codes, weight.scales, weight.zeros, M, C, weight.groupSize, group);
  return packedFromBytes(new Uint8Array(buffer), "pack");
}

/**
 * Takes bytes that an earlier `packForCpu` made, without a copy; they may lie anywhere in a mapped file.
 * @param label For messages: where the bytes come from.
 * @throws WeightsError when they are no packed weight of this layout, or not all of one.
 */
export function packedFromBytes(bytes: Uint8Array, label: string): CpuPacked {
  const fail = (what: string): never => {
    throw new WeightsError("packed", `${label} holds ${what}, expected a weight in layout ${PACKED_LAYOUT}`);
  };
  if (bytes.length < HEADER_BYTES) return fail(`${bytes.length} bytes`);
  const magic = String.fromCharCode(...bytes.subarray(0, PACKED_LAYOUT.length));
  if (magic !== PACKED_LAYOUT) return fail(`layout ${JSON.stringify(magic)}`);
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const [bits, group, M, C] = [8, 12, 16, 20].map((at) => header.getUint32(at, true));
  const byteLength = Number(header.getBigUint64(32, true));
  if (bits !== 4 && bits !== 8) return fail(`weights of ${bits} bits`);
  if (byteLength !== bytes.length) return fail(`${bytes.length} of ${byteLength} bytes`);
  return { format: bits === 8 ? "int8" : "int4", shape: [M, C], byteLength, bytes, group };
}
