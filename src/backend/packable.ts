/**
 * Which quantised weights kernels take, and in which groups; shared by all backends, so that a checkpoint runs on all of them or on
 * none. Knows no layout.
 */
import { assertQuantizedWeight, KERNEL_GROUP_SIZES, type QuantizedWeight } from "../core/quantized-weight.ts";
import { UnsupportedError } from "../util/errors.ts";

/**
 * The groups that kernels work in: the largest kernel group that divides the weight's group. A group of 256 is two of 128 with
 * equal scales. 0 for int8 weights, which have none.
 * @throws UnsupportedError when no kernel group divides it.
 */
export function kernelGroupSize(weight: QuantizedWeight): number {
  assertQuantizedWeight(weight);
  if (weight.format === "int8") return 0;
  const size = KERNEL_GROUP_SIZES.find((candidate) => weight.groupSize % candidate === 0);
  if (size === undefined) {
    throw new UnsupportedError(
      "pack",
      `int4 weights run in groups of a multiple of ${KERNEL_GROUP_SIZES.at(-1)}, got groups of ${weight.groupSize}. ` +
        "You can quantise the model again, with groups of 128",
    );
  }
  return size;
}
