/**
 * Linear layers behind a norm or a gelu, and gated ones. With int8 weights (gated: int4) they are one operation, which needs no memory for
 * what lies between them; the numbers are the same.
 */
import type { GeluKind } from "../backend/backend.ts";
import { gatedMlp, geluLinear, layerNormLinear } from "../tensor/fused-ops.ts";
import { gelu, swiglu } from "../tensor/ops.ts";
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

/** down(silu(gate(x)) · up(x)). […, C] → […, M]. */
export function gatedMlpOfLinears(gate: Linear, up: Linear, down: Linear, x: Tensor): Tensor {
  const hasBias = gate.bias || up.bias || down.bias;
  if (hasInt4(gate) && hasInt4(up) && hasInt4(down) && !hasBias) {
    return gatedMlp(x, gate.weight, up.weight, down.weight);
  }
  return down.forward(swiglu(gate.forward(x), up.forward(x)));
}

function hasInt4(linear: Linear): linear is Linear & { readonly weight: PackedTensor } {
  return linear.weight instanceof PackedTensor && linear.weight.packed.format === "int4";
}

/** Whether the layer multiplies rows that it rounds to int8, so that what comes before it may be rounded more finely than that. */
export function roundsToInt8(linear: Linear): boolean {
  return hasInt8(linear) || (hasInt4(linear) && linear.weight.backend.int4Activations === "int8");
}

function hasInt8(linear: Linear): linear is Linear & { readonly weight: PackedTensor } {
  return linear.weight instanceof PackedTensor && linear.weight.packed.format === "int8";
}
