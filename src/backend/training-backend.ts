/**
 * What a backend adds to learn: the gradient of every operation, losses and the optimiser's step. As in backend.ts nothing is checked here
 * and nothing is owned; the definition of each is its plain loop in backend/reference/training/<op>.ts.
 *
 * d<name> is the gradient of <name>. "Adds to" means that the target holds a sum over several calls (gradients of parameters); all other
 * results are written. All gradients are f32; a weight is f32, bf16 or f16 as in the forward operation. A null target is not wanted.
 */
import { UnsupportedError } from "../util/errors.ts";
import type { AttentionOptions, Backend, GeluKind, Operand } from "./backend.ts";

/** Targets that are spread over neighbours: the time tokens of temporal localisation. */
export interface SoftTargets {
  /** Ids whose rows are soft: q(j) ∝ e^(−(y − j)² / (2 std²)) over these ids. i32. */
  readonly ids: Operand;
  /** In ids. */
  readonly std: number;
}

export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decoupled: the parameter shrinks by learningRate · weightDecay. */
  readonly weightDecay: number;
  /** 1 for the first step. */
  readonly step: number;
  /** Multiplies the gradient first (clipping). */
  readonly gradientScale: number;
}

/** A matrix that Muon moves, with its momentum; both f32, changed in place. */
export interface MuonMatrix {
  readonly parameter: Operand;
  readonly m: Operand;
  readonly gradient: Operand;
}

export interface MuonOptions {
  /** Learning rate times the scale of the matrix's size. */
  readonly rate: number;
  readonly momentum: number;
  /** Multiplies the gradient first (clipping). */
  readonly gradientScale: number;
  /** a, b, c: a round maps every singular value x to a x + b x³ + c x⁵. */
  readonly polynomial: readonly [a: number, b: number, c: number];
  readonly rounds: number;
}

export interface ContrastiveGradients {
  readonly image: Operand;
  readonly text: Operand;
  /** [1] */
  readonly logitScale: Operand;
  /** [1] */
  readonly logitBias: Operand;
}

export interface TrainingBackend {
  /** Adds source to target; same shapes. */
  accumulate(target: Operand, source: Operand): void;
  /** dx[T, C] = dy[T, M] · weight[M, C]. */
  linearBackwardInput(dx: Operand, dy: Operand, weight: Operand): void;
  /** Adds dy[T, M]ᵀ · x[T, C] to dWeight[M, C] and the column sums of dy to dBias[M]. */
  linearBackwardWeight(dWeight: Operand | null, dBias: Operand | null, dy: Operand, x: Operand): void;
  /** Writes dx[T, C]; adds to dWeight[C] and dBias[C] (both or neither). */
  layerNormBackward(
    dx: Operand,
    dWeight: Operand | null,
    dBias: Operand | null,
    dy: Operand,
    x: Operand,
    weight: Operand,
    eps: number,
  ): void;
  /** Writes dx[T, C]; adds to dWeight[C]. */
  rmsNormBackward(dx: Operand, dWeight: Operand | null, dy: Operand, x: Operand, weight: Operand, eps: number): void;
  /** Writes dq[T, H, D], dk and dv[S, Hkv, D] from the operands of `attention`, its result and that one's gradient. Scores are made again. */
  attentionBackward(
    dq: Operand,
    dk: Operand,
    dv: Operand,
    q: Operand,
    k: Operand,
    v: Operand,
    out: Operand,
    dOut: Operand,
    options: AttentionOptions,
  ): void;
  /** dx[T, H, D]: dy turned back by the angles of `rope`. */
  ropeBackward(dx: Operand, dy: Operand, positions: Operand, theta: number): void;
  geluBackward(dx: Operand, dy: Operand, x: Operand, kind: GeluKind): void;
  swigluBackward(dGate: Operand, dUp: Operand, dy: Operand, gate: Operand, up: Operand): void;
  /** Adds dy[t] to row ids[t] of dTable[V, C], in the order of t. */
  embeddingBackward(dTable: Operand, ids: Operand, dy: Operand): void;
  /** Adds to dWeight[C, 3, patch, patch], dBias[C] and dPosition[P, C]; pixels have no gradient. */
  patchEmbedBackward(dWeight: Operand, dBias: Operand, dPosition: Operand, dy: Operand, pixels: Operand): void;
  /** dx[B, s, s, C] from dy[B, ⌈s/k⌉, ⌈s/k⌉, k·k·C]. */
  spaceToChannelBackward(dx: Operand, dy: Operand, k: number): void;
  /** dx[h, w, C] from dy[h', w', C]. */
  areaResizeBackward(dx: Operand, dy: Operand): void;
  /** dx[F, h, w, C] from dy[F/pt, h/ph, w/pw, C]. */
  pool3dBackward(dx: Operand, dy: Operand, window: readonly [pt: number, ph: number, pw: number]): void;
  /** out[…, C] = columns [column, column + C) of x[…, width]. */
  takeColumns(out: Operand, x: Operand, column: number): void;
  /**
   * losses[T] = −Σ_v q(v) log p(v) with p the softmax of logits[T, V] and q one at targets[T] (or spread, see SoftTargets); 0 where the target
   * is negative. The logits become their gradients: weights[t] · (p − q), 0 where the target is negative.
   */
  crossEntropy(losses: Operand, logits: Operand, targets: Operand, weights: Operand, soft: SoftTargets | null): void;
  /**
   * SigLIP's loss of B pairs with features image[B, D], text[B, D] that are not normalised yet, logitScale[1] (its exponential multiplies)
   * and logitBias[1]: loss[1] = −(1/B) Σ_ij log σ(z_ij (t_i · m_j · e^scale + bias)), z = 1 on the diagonal, −1 beside it. Adds
   * `weight` times the gradients.
   */
  sigmoidContrastive(
    loss: Operand,
    gradients: ContrastiveGradients,
    operands: ContrastiveGradients,
    weight: number,
  ): void;
  /** out[1] = Σ x². */
  sumOfSquares(out: Operand, x: Operand): void;
  /** One step of AdamW on parameter, m and v (all f32, changed in place). */
  adamw(parameter: Operand, m: Operand, v: Operand, gradient: Operand, options: AdamWOptions): void;
  /**
   * One step of Muon on matrices of one shape, at least one, where that is faster than train/muon.ts, which defines it and needs the host.
   * Absent: that runs.
   */
  muon?(matrices: readonly MuonMatrix[], options: MuonOptions): void;
}

/** A backend that can learn. */
export interface LearningBackend extends Backend {
  readonly training: TrainingBackend;
}

/** What `backend` has for learning. @throws UnsupportedError when it has nothing. */
export function trainingOf(backend: Backend): TrainingBackend {
  const { training } = backend as Partial<LearningBackend>;
  if (training) return training;
  throw new UnsupportedError("training", `expected a backend that can train, got ${backend.name}. You can use "cpu"`);
}
