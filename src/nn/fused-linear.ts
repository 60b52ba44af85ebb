/**
 * Linear layers behind a norm or a gelu. With int8 weights the two are one operation, which needs no memory for what lies between them;
 * the numbers are the same.
 */
import type { GeluKind } from "../backend/backend.ts";
import { geluLinear, layerNormLinear } from "../tensor/fused-ops.ts";
import { gelu } from "../tensor/ops.ts";
import { PackedTensor } from "../tensor/packed-tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Linear } from "./linear.ts";
import type { LayerNorm } from "./norm.ts";

/** Each of `linears` of norm(x). […, C] → […, Mᵢ]. */
export function linearsOfNorm(linears: readonly Linear[], norm: LayerNorm, x: Tensor): Tensor[] {
  if (linears.every(hasInt8)) return linears.map(({ weight, bias }) => layerNormLinear(x, norm, weight, bias));
  const y = norm.forward(x);
  return linears.map((linear) => linear.forward(y));
}

/** linear(gelu(x)). […, C] → […, M]. */
export function linearOfGelu(linear: Linear, kind: GeluKind, x: Tensor): Tensor {
  if (hasInt8(linear)) return geluLinear(x, kind, linear.weight, linear.bias);
  return linear.forward(gelu(x, kind));
}

/** Whether the weight is of int8 codes: rows of x become codes too. */
export function hasInt8(linear: Linear): linear is Linear & { readonly weight: PackedTensor } {
  return linear.weight instanceof PackedTensor && linear.weight.packed.format === "int8";
}
