/**
 * Products of f32 matrices on bf16 tiles (BF16_SET): with operands that bf16 holds nothing is rounded, so they are held to the bounds of f32.
 */
import { describe, it } from "vitest";
import { BF16_SET } from "../../src/backend/cpu/binding.ts";
import { bf16ToF32, f32ToBf16 } from "../../src/util/half.ts";
import { linearBackward } from "./backward-cases.ts";
import { linear, OP_CASES, type OpCase } from "./cases.ts";
import { cpuBackends } from "./cpu-backends.ts";
import type { InputSpec } from "./inputs.ts";
import { runOpCases } from "./run-op-cases.ts";

const PRODUCTS = new Set(["linear", "patchEmbed", "linearBackwardInput", "linearBackwardWeight"]);

/** Around tiles of 32, blocks of 512 in depth, groups of 256 columns and parts of 6,144 rows: [T, C, M]. */
const SIZES = [
  [31, 33, 65],
  [64, 512, 32],
  [40, 1100, 70],
  [100, 40, 530],
  [1030, 70, 33],
  [6200, 520, 40],
] as const;

const CASES: readonly OpCase[] = [
  ...OP_CASES,
  ...SIZES.flatMap((sizes) => [linear(sizes, "f32", "f32"), ...linearBackward(sizes)]),
]
  .filter(({ op, inputs }) => PRODUCTS.has(op) && !inputs.some((input) => input.isBits))
  .map((opCase) => ({ ...opCase, inputs: opCase.inputs.map(rounded) }));

function rounded(spec: InputSpec): InputSpec {
  const fill: InputSpec["fill"] = (i, noise) => bf16ToF32(f32ToBf16(spec.fill ? spec.fill(i, noise) : noise()));
  return { ...spec, fill };
}

const backends = cpuBackends(BF16_SET);
if (typeof backends === "string") {
  console.warn(`skipped "products on ${BF16_SET}": ${backends}`);
  describe.skip(`products on ${BF16_SET}`, () => {
    it("needs a processor with AMX", () => {});
  });
} else {
  runOpCases(`cpu ${BF16_SET}, operands that bf16 holds`, backends, CASES);
}
