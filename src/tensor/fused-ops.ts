/** Operations that are one where their weight is int8: what lies between them is never stored. The bits are those of the separate ones. */
import type { GeluKind } from "../backend/backend.ts";
import { formatShape } from "../core/shape.ts";
import { ShapeError } from "../util/errors.ts";
import { expectF32, expectVector } from "./op-checks.ts";
import { empty } from "./ops.ts";
import type { PackedTensor } from "./packed-tensor.ts";
import { refuse } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/** linear(layerNorm(x, norm), weight, bias) of an int8 weight in one operation, the same bits: x[…, C] → […, M]. No gradients. */
export function layerNormLinear(
  x: Tensor,
  norm: { readonly weight: Tensor; readonly bias: Tensor; readonly eps: number },
  weight: PackedTensor,
  bias: Tensor | null,
): Tensor {
  const C = x.shape.at(-1) ?? 0;
  expectVector("layer_norm", "weight", norm.weight, C);
  expectVector("layer_norm", "bias", norm.bias, C);
  refuse("a norm in front of a quantised weight", norm.weight);
  refuse("a norm in front of a quantised weight", norm.bias);
  const out = packedProduct(x, weight, bias);
  x.backend.layerNormLinearPacked(out, x, norm, weight.packed, bias);
  return out;
}

/** linear(gelu(x, kind), weight, bias) of an int8 weight in one operation, the same bits: x[…, C] → […, M]. No gradients. */
export function geluLinear(x: Tensor, kind: GeluKind, weight: PackedTensor, bias: Tensor | null): Tensor {
  const out = packedProduct(x, weight, bias);
  x.backend.geluLinearPacked(out, x, kind, weight.packed, bias);
  return out;
}

/** The memory of a product with a packed weight, whose operands fit. */
function packedProduct(x: Tensor, weight: PackedTensor, bias: Tensor | null): Tensor {
  const [M, C] = weight.shape;
  expectF32("linear", "x", x);
  if (C !== x.shape.at(-1)) {
    throw new ShapeError(
      "linear",
      `inner sizes differ: x ${formatShape(x.shape)} × weight ${formatShape(weight.shape)}ᵀ`,
    );
  }
  if (bias) expectVector("linear", "bias", bias, M);
  refuse("linear with a quantised weight", x);
  return empty(x.backend, "f32", [...x.shape.slice(0, -1), M]);
}
