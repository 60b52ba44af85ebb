/** Normalisation layers over the last axis, statistics in the backend's accumulation precision. */
import type { Weights } from "../checkpoint/weights.ts";
import * as ops from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";

export class LayerNorm {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly eps: number;

  constructor(w: Weights, width: number, eps: number) {
    this.weight = w.tensor("weight", [width]);
    this.bias = w.tensor("bias", [width]);
    this.eps = eps;
  }

  /** […, C] → […, C]. */
  forward(x: Tensor): Tensor {
    return ops.layerNorm(x, this.weight, this.bias, this.eps);
  }
}

export class RmsNorm {
  readonly weight: Tensor;
  readonly eps: number;

  constructor(w: Weights, width: number, eps: number) {
    this.weight = w.tensor("weight", [width]);
    this.eps = eps;
  }

  /** […, C] → […, C]. */
  forward(x: Tensor): Tensor {
    return ops.rmsNorm(x, this.weight, this.eps);
  }
}
