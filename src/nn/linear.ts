/** A linear layer: x[…, C] · weight[M, C]ᵀ + bias[M]. The weight keeps the dtype of the checkpoint; models do not know which. */
import type { Weights } from "../checkpoint/weights.ts";
import * as ops from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";

export class Linear {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(weight: Tensor, bias: Tensor | null) {
    this.weight = weight;
    this.bias = bias;
  }

  /** […, C] → […, M]. */
  forward(x: Tensor): Tensor {
    return ops.linear(x, this.weight, this.bias);
  }
}

/** Reads `weight` [out, in] and, with `bias`, `bias` [out] at this place of the checkpoint. */
export function linear(w: Weights, size: { in: number; out: number; bias: boolean }): Linear {
  return new Linear(w.tensor("weight", [size.out, size.in]), size.bias ? w.tensor("bias", [size.out]) : null);
}
