/**
 * Muon: the momentum of a weight matrix is made orthogonal before it is applied, so that every direction of the matrix moves alike, rare ones too.
 * A small model that starts from nothing needs far fewer steps with it than with AdamW (docs/decisions/0014-muon.md). Embeddings, the head,
 * the patch kernel, norms and biases go on with AdamW. No weight decay.
 * Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers"; the scale that lets both share a learning rate: arXiv 2502.16982, §2.2.
 */
import { type MuonMatrix, trainingOf } from "../backend/training-backend.ts";
import { Tensor } from "../tensor/tensor.ts";
import { AdamW, clipScale, gradientNorm, type Moments, type Optimizer, type OptimizerOptions } from "./optimizer.ts";
import type { Parameter } from "./parameters.ts";

const MOMENTUM = 0.95;
/** Of the AdamW beside it: runs of few steps need a second moment that follows soon. */
const ADAMW = { beta1: 0.9, beta2: 0.95 } as const;
/** Size of the elements of a step, as AdamW's steps have it, relative to the learning rate. */
const STEP_RMS = 0.2;
/** Newton–Schulz: x → a x + b x³ + c x⁵ on all singular values; five rounds bring those above 0.01 near 1. */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const ROUNDS = 5;

/** Hidden weight matrices; tables of tokens and places are looked up in, not multiplied by. */
export function isHiddenMatrix({ name, tensor }: Parameter): boolean {
  return tensor.shape.length === 2 && !/embed|lm_head/.test(name);
}

export class Muon implements Optimizer {
  readonly #adamw: AdamW;
  readonly #momenta = new Map<string, Moments>();

  constructor(options: Partial<OptimizerOptions> = {}) {
    this.#adamw = new AdamW({ ...options, ...ADAMW, weightDecay: 0 });
  }

  get stepCount(): number {
    return this.#adamw.stepCount;
  }

  set stepCount(count: number) {
    this.#adamw.stepCount = count;
  }

  /** `m` alone for a hidden matrix. */
  momentsOf(parameter: Parameter): Moments {
    if (!isHiddenMatrix(parameter)) return this.#adamw.momentsOf(parameter);
    const known = this.#momenta.get(parameter.name);
    if (known) return known;
    const { backend, storage, shape } = parameter.master;
    const moments = { m: Tensor.from(backend, "f32", new Float32Array(storage.length), shape) };
    this.#momenta.set(parameter.name, moments);
    return moments;
  }

  async step(parameters: readonly Parameter[], learningRateOf: (parameter: Parameter) => number): Promise<number> {
    const norm = await gradientNorm(parameters);
    if (!Number.isFinite(norm)) return norm;
    const { maxGradientNorm } = this.#adamw.options;
    const gradientScale = maxGradientNorm === null ? 1 : clipScale(norm, maxGradientNorm);
    for (const matrices of alike(parameters.filter(isHiddenMatrix), learningRateOf)) {
      await moveMatrices(
        matrices.map((matrix) => ({
          parameter: matrix.master,
          m: this.momentsOf(matrix).m,
          gradient: matrix.gradient,
        })),
        { learningRate: learningRateOf(matrices[0]), gradientScale },
      );
    }
    this.#adamw.update(
      parameters.filter((parameter) => !isHiddenMatrix(parameter)),
      learningRateOf,
      gradientScale,
    );
    return norm;
  }
}

/** Matrices of one shape and one learning rate together, in the order of the first of each. */
function alike(matrices: readonly Parameter[], learningRateOf: (parameter: Parameter) => number): Parameter[][] {
  const groups = new Map<string, Parameter[]>();
  for (const matrix of matrices) {
    const key = `${matrix.master.shape} ${learningRateOf(matrix)}`;
    const group = groups.get(key);
    if (group) group.push(matrix);
    else groups.set(key, [matrix]);
  }
  return [...groups.values()];
}

interface Moved extends MuonMatrix {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly gradient: Tensor;
}

/** Of one shape: by the backend all at once, or one after the other. */
async function moveMatrices(
  matrices: readonly Moved[],
  { learningRate, gradientScale }: { learningRate: number; gradientScale: number },
): Promise<void> {
  const { backend, shape } = matrices[0].parameter;
  const rate = learningRate * STEP_RMS * Math.sqrt(Math.max(...shape));
  const training = trainingOf(backend);
  if (training.muon) {
    const options = { rate, momentum: MOMENTUM, gradientScale, polynomial: [A, B, C], rounds: ROUNDS } as const;
    training.muon(matrices, options);
    return;
  }
  for (const matrix of matrices) await moveMatrix(matrix, rate, gradientScale);
}

/** m = 0.95 m + g; p = p − lr · 0.2 √max(rows, columns) · orthogonal(g + 0.95 m). */
async function moveMatrix(
  { parameter, m: momentum, gradient }: Moved,
  rate: number,
  gradientScale: number,
): Promise<void> {
  const { backend, shape } = parameter;
  const [g, m, p] = [await gradient.readF32(), await momentum.readF32(), await parameter.readF32()];
  const ahead = new Float32Array(g.length);
  for (let i = 0; i < g.length; i++) {
    const grad = g[i] * gradientScale;
    m[i] = MOMENTUM * m[i] + grad;
    ahead[i] = grad + MOMENTUM * m[i];
  }
  const direction = await orthogonal(Tensor.from(backend, "f32", ahead, shape));
  for (let i = 0; i < p.length; i++) p[i] -= rate * direction[i];
  backend.copy(momentum.storage, 0, backend.wrap("f32", m));
  backend.copy(parameter.storage, 0, backend.wrap("f32", p));
}

/**
 * A matrix [M, N] with the singular vectors of `x` [M, N] and singular values near 1, row by row. Zeros stay zeros.
 * Each round multiplies by a polynomial of the smaller of x xᵀ and xᵀ x.
 */
export async function orthogonal(x: Tensor): Promise<Float32Array> {
  const { backend } = x;
  const training = trainingOf(backend);
  const [rows, columns] = x.shape;
  const isWide = rows <= columns;
  const side = Math.min(rows, columns);
  const values = await x.readF32();
  let squares = 0;
  for (const value of values) squares += value * value;
  const scale = 1 / (Math.sqrt(squares) + 1e-7);
  for (let i = 0; i < values.length; i++) values[i] *= scale;
  const empty = (shape: readonly number[]): Tensor =>
    new Tensor(backend, backend.alloc("f32", shape[0] * shape[1]), shape);
  let current = Tensor.from(backend, "f32", values, x.shape);
  for (let round = 0; round < ROUNDS; round++) {
    const square = empty([side, side]);
    if (isWide) {
      backend.linear(square, current, current, null); // x xᵀ
    } else {
      backend.copy(square.storage, 0, backend.wrap("f32", new Float32Array(side * side)));
      training.linearBackwardWeight(square, null, current, current); // xᵀ x
    }
    const fourth = empty([side, side]);
    backend.linear(fourth, square, square, null); // symmetric: its transpose is itself
    const [s, f] = [await square.readF32(), await fourth.readF32()];
    for (let i = 0; i < s.length; i++) s[i] = B * s[i] + C * f[i];
    for (let i = 0; i < side; i++) s[i * (side + 1)] += A;
    const polynomial = Tensor.from(backend, "f32", s, [side, side]);
    const next = empty(x.shape);
    if (isWide) training.linearBackwardInput(next, polynomial, current);
    else backend.linear(next, current, polynomial, null);
    for (const { storage } of [square, fourth, current]) backend.free(storage);
    current = next;
  }
  const made = await current.readF32();
  backend.free(current.storage);
  return made;
}
