/**
 * A linear layer: x[…, C] · weight[M, C]ᵀ + bias[M]. The weight keeps the form of the checkpoint (f32, bf16, f16, or int8 and int4 packed
 * for the backend); models do not know which.
 */
import type { Weights } from "../checkpoint/weights.ts";
import { isQuantizedWeight } from "../core/quantized-weight.ts";
import * as ops from "../tensor/ops.ts";
import { PackedTensor } from "../tensor/packed-tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";

export class Linear {
  readonly weight: Tensor | PackedTensor;
  readonly bias: Tensor | null;

  constructor(weight: Tensor | PackedTensor, bias: Tensor | null) {
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
  return new Linear(matrix(w, "weight", [size.out, size.in]), size.bias ? w.tensor("bias", [size.out]) : null);
}

/** A matrix [M, C] that may be quantised, packed for the backend if it is. */
export function matrix(w: Weights, name: string, shape: readonly [M: number, C: number]): Tensor | PackedTensor {
  const kept = w.backend.packedFiles && w.packedBytes(name, shape);
  if (kept) return PackedTensor.adopt(w.backend, kept, shape);
  const weight = w.linearWeight(name, shape);
  return isQuantizedWeight(weight) ? PackedTensor.from(w.backend, weight) : weight;
}
