/** Operations that are one where their weights are quantised: what lies between them is never stored. The bits are those of the separate ones. */
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

/** linear(silu(linear(x, gate)) · linear(x, up), down) of packed weights in one operation, the same bits: x[…, C] → […, M]. No gradients. */
export function gatedMlp(x: Tensor, gate: PackedTensor, up: PackedTensor, down: PackedTensor): Tensor {
  const isFit = gate.shape[0] === up.shape[0] && gate.shape[1] === up.shape[1] && down.shape[1] === up.shape[0];
  if (!isFit) {
    const [g, u, d] = [gate, up, down].map(({ shape }) => formatShape(shape));
    throw new ShapeError("swiglu", `expected gate and up [I, C] and down [M, I], got gate ${g}, up ${u}, down ${d}`);
  }
  expectInputs(x, up);
  const out = empty(x.backend, "f32", [...x.shape.slice(0, -1), down.shape[0]]);
  x.backend.gatedMlpPacked(out, x, gate.packed, up.packed, down.packed);
  return out;
}

/** The memory of a product with a packed weight, whose operands fit. */
function packedProduct(x: Tensor, weight: PackedTensor, bias: Tensor | null): Tensor {
  const [M] = weight.shape;
  expectInputs(x, weight);
  if (bias) expectVector("linear", "bias", bias, M);
  return empty(x.backend, "f32", [...x.shape.slice(0, -1), M]);
}

function expectInputs(x: Tensor, weight: PackedTensor): void {
  const [, C] = weight.shape;
  expectF32("linear", "x", x);
  if (C !== x.shape.at(-1)) {
    throw new ShapeError(
      "linear",
      `inner sizes differ: x ${formatShape(x.shape)} × weight ${formatShape(weight.shape)}ᵀ`,
    );
  }
  refuse("linear with a quantised weight", x);
}
