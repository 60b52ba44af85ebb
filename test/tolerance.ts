/**
 * How far a backend may be from the reference, by class of operation. Raising a bound is a reviewed change.
 * Activations are f32 and 16-bit weights are widened exactly, so the dtype of a weight moves no bound: one row serves f32, bf16
 * and f16. Weights that are rounded (int8, int4) need rows of their own.
 */
import type { OpName } from "./ops/cases.ts";

/**
 * With `size` = |expected|, for sums the sum of magnitudes of the terms (`OpCase.terms`):
 * NMSE is Σ (value − expected)² / Σ size²; one element may be off by relative · size + ofLargest · max size + floor.
 */
export interface Bound {
  readonly nmse: number;
  readonly relative: number;
  readonly ofLargest: number;
  readonly floor: number;
}

const EXACT: Bound = { nmse: 0, relative: 0, ofLargest: 0, floor: 0 };

export const BOUNDS = {
  /** Values are moved or widened, or one f32 operation is rounded once: the same bits, but for the sign of zero. */
  exact: EXACT,
  /**
   * An f32 sum of n terms in a fixed order errs by a few units of 2^-24 of its magnitude, worst when n is small; the
   * bound is 16 units. A term that is missing or doubled is off by about 1 / n, with n at most a few thousand here.
   */
  sum: { nmse: 1e-13, relative: 1e-6, ofLargest: 0, floor: 1e-30 },
  /**
   * Products with quantised weights: codes and their sums are exact on every backend, so only the f32 arithmetic of scales and the sum over
   * groups errs. One code that is off by one moves a result by 1e-4 of the largest.
   */
  packed: { nmse: 1e-12, relative: 1e-6, ofLargest: 1e-6, floor: 1e-30 },
  /**
   * A norm or gelu errs by units of 2^-24, which moves a few codes by one: 1e-4 of the largest result each. That codes are those of the
   * separate operations, bit for bit, is test/ops/fused.test.ts.
   */
  roundedFunction: { nmse: 1e-8, relative: 0, ofLargest: 1e-3, floor: 1e-30 },
  /** Few f32 operations and statistics that are as good as f64: a few units of 2^-24 each. */
  norm: { nmse: 1e-13, relative: 1e-6, ofLargest: 2e-7, floor: 1e-30 },
  /** One angle in f64, sine and cosine to f32, two products: units of 2^-24 of the pair's length. */
  rotation: { nmse: 1e-13, relative: 0, ofLargest: 3e-7, floor: 0 },
  /**
   * Functions are approximated to about 1e-7 and evaluated in f32; relative accuracy is demanded down to the tails, where the
   * reference itself ends at 2^-53 (`floor`).
   */
  function: { nmse: 1e-12, relative: 3e-6, ofLargest: 0, floor: 1e-12 },
  /** Scores err like sums; e^score carries that as a relative error of each weight; weights add up to 1. */
  attention: { nmse: 1e-12, relative: 0, ofLargest: 4e-6, floor: 1e-30 },
  /** Operands rounded to bf16 are off by up to 2^-9 each; sums over keys average that. A key that is missing moves a result by 1e-2 and more. */
  attentionRounded: { nmse: 1e-5, relative: 0, ofLargest: 8e-3, floor: 1e-30 },
  /**
   * Gradients through norms, softmax and derivatives: differences of sums, each good to f32. Measured against the largest of all results of
   * the operation, which have one order of magnitude.
   */
  gradient: { nmse: 1e-11, relative: 1e-6, ofLargest: 4e-6, floor: 1e-30 },
  /** A step of AdamW: few f32 operations each, on what f64 would give. */
  step: { nmse: 1e-12, relative: 2e-6, ofLargest: 2e-7, floor: 1e-30 },
} as const satisfies Record<string, Bound>;

export type OpClass = keyof typeof BOUNDS;

export const CLASS_OF_OP: Readonly<Record<OpName, OpClass>> = {
  linear: "sum",
  layerNorm: "norm",
  rmsNorm: "norm",
  attention: "attention",
  pagedAttention: "attention",
  pagedAttentionInt8: "attention",
  scatterRows: "exact",
  scatterRowsInt8: "exact",
  rope: "rotation",
  gelu: "function",
  swiglu: "function",
  add: "exact",
  embedding: "exact",
  patchEmbed: "sum",
  spaceToChannel: "exact",
  areaResize: "sum",
  pool3d: "sum",
  stitchTiles: "exact",
  splitTiles: "exact",
  concatColumns: "exact",
  copy: "exact",
  linearPacked: "packed",
  layerNormLinearPacked: "roundedFunction",
  geluLinearPacked: "roundedFunction",
  embeddingPacked: "exact",
  accumulate: "exact",
  linearBackwardInput: "sum",
  linearBackwardWeight: "sum",
  layerNormBackward: "gradient",
  rmsNormBackward: "gradient",
  attentionBackward: "gradient",
  ropeBackward: "rotation",
  geluBackward: "gradient",
  swigluBackward: "gradient",
  embeddingBackward: "sum",
  patchEmbedBackward: "sum",
  spaceToChannelBackward: "exact",
  areaResizeBackward: "sum",
  pool3dBackward: "sum",
  takeColumns: "exact",
  crossEntropy: "gradient",
  sumOfSquares: "sum",
  adamw: "step",
};
