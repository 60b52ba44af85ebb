/** The typed mirror of native/addon_training.cc, see binding.ts. Null targets are not wanted; "adds" is said in native/kernels/backward.h. */
import type { DTypeCode, NativeContext, WeightArray } from "./native-types.ts";

export interface TrainingBinding {
  accumulate(context: NativeContext, target: Float32Array, source: Float32Array): void;
  /** dx[T, C], dy[T, M], weight[M, C]. */
  linearBackwardInput(
    context: NativeContext,
    dx: Float32Array,
    dy: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    T: number,
    C: number,
    M: number,
  ): void;
  /** dWeight[M, C], dBias[M], dy[T, M], x[T, C]. */
  linearBackwardWeight(
    context: NativeContext,
    dWeight: Float32Array | null,
    dBias: Float32Array | null,
    dy: Float32Array,
    x: Float32Array,
    T: number,
    C: number,
    M: number,
  ): void;
  /** dx, dy, x[T, C]; dWeight, dBias, weight[C]. */
  layerNormBackward(
    context: NativeContext,
    dx: Float32Array,
    dWeight: Float32Array | null,
    dBias: Float32Array | null,
    dy: Float32Array,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    eps: number,
    T: number,
    C: number,
  ): void;
  rmsNormBackward(
    context: NativeContext,
    dx: Float32Array,
    dWeight: Float32Array | null,
    dy: Float32Array,
    x: Float32Array,
    weight: WeightArray,
    weightDType: DTypeCode,
    eps: number,
    T: number,
    C: number,
  ): void;
  /** dq, q, out, dOut[T, H, D]; dk, dv, k, v[S, Hkv, D]; the rest as `attention`. */
  attentionBackward(
    context: NativeContext,
    dq: Float32Array,
    dk: Float32Array,
    dv: Float32Array,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    out: Float32Array,
    dOut: Float32Array,
    offsetsQ: Int32Array | null,
    offsetsK: Int32Array | null,
    segments: number,
    T: number,
    S: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    causal: 0 | 1,
  ): void;
  geluTanhBackward(context: NativeContext, dx: Float32Array, dy: Float32Array, x: Float32Array): void;
  geluErfBackward(context: NativeContext, dx: Float32Array, dy: Float32Array, x: Float32Array): void;
  swigluBackward(
    context: NativeContext,
    dGate: Float32Array,
    dUp: Float32Array,
    dy: Float32Array,
    gate: Float32Array,
    up: Float32Array,
  ): void;
  /** dTable[V, C], ids[T], dy[T, C]. */
  embeddingBackward(
    context: NativeContext,
    dTable: Float32Array,
    ids: Int32Array,
    dy: Float32Array,
    T: number,
    V: number,
    C: number,
  ): void;
  /** dWeight[C, 3, patch, patch], dBias[C], dPosition[P, C], dy[B · P, C], pixels[B, 3, S, S]. */
  patchEmbedBackward(
    context: NativeContext,
    dWeight: Float32Array,
    dBias: Float32Array,
    dPosition: Float32Array,
    dy: Float32Array,
    pixels: Float32Array,
    B: number,
    S: number,
    patch: number,
    C: number,
  ): void;
  /** losses, targets, weights[T]; logits[T, V]; softIds[softCount]. */
  crossEntropy(
    context: NativeContext,
    losses: Float32Array,
    logits: Float32Array,
    targets: Int32Array,
    weights: Float32Array,
    softIds: Int32Array | null,
    softCount: number,
    std: number,
    T: number,
    V: number,
  ): void;
  /** Σ x². */
  sumOfSquares(context: NativeContext, x: Float32Array): number;
  adamw(
    context: NativeContext,
    parameter: Float32Array,
    m: Float32Array,
    v: Float32Array,
    gradient: Float32Array,
    learningRate: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    correction1: number,
    correction2: number,
    gradientScale: number,
  ): void;
}
