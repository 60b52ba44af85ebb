/**
 * What an optimiser is, and AdamW: over the trained parameters of a model, in groups with their own learning rate, with clipping by the norm of all gradients together.
 * Moments are f32. Which parameters decay: matrices do, biases and LayerNorm's do not.
 * Source: VILA `llava/train/llava_trainer.py` create_optimizer at b760c34; torch.optim.AdamW; torch.nn.utils.clip_grad_norm_.
 */
import { trainingOf } from "../backend/training-backend.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Parameter } from "./parameters.ts";

export interface OptimizerOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Most that the norm of all gradients may be; null: no clipping. */
  readonly maxGradientNorm: number | null;
}

export const ADAMW_DEFAULTS: OptimizerOptions = {
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0,
  maxGradientNorm: null,
};

/** What an optimiser remembers of one parameter, f32 of its shape: the first moment and, for some, the second. */
export interface Moments {
  readonly m: Tensor;
  readonly v?: Tensor;
}

export interface Optimizer {
  /** Steps taken. */
  stepCount: number;
  /** Zeros at first. */
  momentsOf(parameter: Parameter): Moments;
  /**
   * One step on the masters of all `parameters` by their gradients, which stay as they are.
   * @param learningRateOf Of a parameter in this step.
   * @returns The norm of all gradients together, before clipping. Not finite: nothing was changed.
   */
  step(parameters: readonly Parameter[], learningRateOf: (parameter: Parameter) => number): Promise<number>;
}

/** What gradients of a given norm are multiplied with so that the norm is at most `maxNorm`. */
export function clipScale(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}

export class AdamW implements Optimizer {
  readonly options: OptimizerOptions;
  readonly #moments = new Map<string, Required<Moments>>();
  stepCount = 0;

  constructor(options: Partial<OptimizerOptions> = {}) {
    this.options = { ...ADAMW_DEFAULTS, ...options };
  }

  momentsOf(parameter: Parameter): Required<Moments> {
    const known = this.#moments.get(parameter.name);
    if (known) return known;
    const { backend, storage, shape } = parameter.master;
    const zeros = (): Tensor => Tensor.from(backend, "f32", new Float32Array(storage.length), shape);
    const moments = { m: zeros(), v: zeros() };
    this.#moments.set(parameter.name, moments);
    return moments;
  }

  async step(parameters: readonly Parameter[], learningRateOf: (parameter: Parameter) => number): Promise<number> {
    const norm = await gradientNorm(parameters);
    if (!Number.isFinite(norm)) return norm;
    const { maxGradientNorm } = this.options;
    this.update(parameters, learningRateOf, maxGradientNorm === null ? 1 : clipScale(norm, maxGradientNorm));
    return norm;
  }

  /** The step itself. @param gradientScale Multiplies all gradients first. */
  update(
    parameters: readonly Parameter[],
    learningRateOf: (parameter: Parameter) => number,
    gradientScale: number,
  ): void {
    const { beta1, beta2, eps, weightDecay } = this.options;
    this.stepCount++;
    for (const parameter of parameters) {
      const { m, v } = this.momentsOf(parameter);
      trainingOf(parameter.master.backend).adamw(parameter.master, m, v, parameter.gradient, {
        learningRate: learningRateOf(parameter),
        beta1,
        beta2,
        eps,
        weightDecay: parameter.decays ? weightDecay : 0,
        step: this.stepCount,
        gradientScale,
      });
    }
  }
}

/** The norm of all gradients together, which are of one backend. */
export async function gradientNorm(parameters: readonly Parameter[]): Promise<number> {
  if (parameters.length === 0) return 0;
  const { backend } = parameters[0].gradient;
  const squares = Tensor.from(backend, "f32", new Float32Array(parameters.length), [parameters.length]);
  for (const [i, { gradient }] of parameters.entries()) {
    trainingOf(backend).sumOfSquares(squares.rows(i, i + 1), gradient);
  }
  let sum = 0;
  for (const square of await squares.readF32()) sum += square;
  return Math.sqrt(sum);
}
