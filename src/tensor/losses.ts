/**
 * Losses. A loss is an end: its gradient is computed together with its value, for the weights that it is given, and no operation takes it
 * further. So logits exist for a few rows at a time, and become their own gradient.
 * Source of the chunking: Liger Kernel, `fused_linear_cross_entropy`.
 */
import { type SoftTargets, trainingOf } from "../backend/training-backend.ts";
import { formatShape } from "../core/shape.ts";
import { ShapeError } from "../util/errors.ts";
import { expectF32, expectWeight } from "./op-checks.ts";
import { empty, linear } from "./ops.ts";
import { scope } from "./scope.ts";
import { isNeeded, openTape } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** Most memory of the logits of one chunk. */
const CHUNK_BYTES = 8e6;

export interface CrossEntropyOptions {
  /** [T]: the id that each row should predict; negative: none. */
  readonly targets: Int32Array;
  /** [T]: what each row's loss counts in the gradient; a mean over N rows has 1/N everywhere. */
  readonly weights: Float32Array;
  /** Ids whose targets are spread over their neighbours. */
  readonly soft?: { readonly ids: Int32Array; readonly std: number } | null;
}

/**
 * Cross entropy of hidden[T, C] · head[V, C]ᵀ, row by row: losses [T], unweighted, 0 for rows without a target. With a tape open, the
 * gradients of hidden and head are noted at once; the losses themselves are an end.
 * @throws ShapeError when sizes do not fit or a target is no row of the head.
 */
export function linearCrossEntropy(hidden: Tensor, head: Tensor, options: CrossEntropyOptions): Tensor {
  const { targets, weights } = options;
  const [T, C] = hidden.shape;
  const [V] = head.shape;
  expectF32("cross_entropy", "hidden", hidden);
  expectWeight("cross_entropy", "head", head);
  if (hidden.shape.length !== 2 || head.shape.length !== 2 || head.shape[1] !== C) {
    throw new ShapeError(
      "cross_entropy",
      `expected hidden [T, C] and head [V, C], got ${formatShape(hidden.shape)}, ${formatShape(head.shape)}`,
    );
  }
  if (targets.length !== T || weights.length !== T || targets.some((id) => id >= V)) {
    throw new ShapeError("cross_entropy", `expected ${T} targets below ${V} and as many weights`);
  }
  const { backend } = hidden;
  const training = trainingOf(backend);
  const ids = (values: Int32Array): Tensor => Tensor.from(backend, "i32", values, [values.length]);
  const soft: SoftTargets | null = options.soft ? { ids: ids(options.soft.ids), std: options.soft.std } : null;
  const tape = isNeeded(hidden, head) ? openTape() : null;
  const losses = empty(backend, "f32", [T]);
  const dHidden = tape?.wants(hidden) ? tape.empty(hidden.shape) : null;
  const dHead = tape?.sumIfWanted(head) ?? null;
  const step = Math.max(1, Math.floor(CHUNK_BYTES / (4 * V)));
  for (let start = 0; start < T; start += step) {
    const end = Math.min(T, start + step);
    const run = (): void =>
      scope(() => {
        const x = hidden.rows(start, end);
        const logits = linear(x, head, null); // [rows, V]
        const rowWeights = Tensor.from(backend, "f32", weights.subarray(start, end), [end - start]);
        training.crossEntropy(losses.rows(start, end), logits, ids(targets.subarray(start, end)), rowWeights, soft);
        if (dHidden) training.linearBackwardInput(dHidden.rows(start, end), logits, head);
        if (dHead) training.linearBackwardWeight(dHead, null, logits, x);
      });
    if (tape) tape.pause(run);
    else run();
  }
  if (tape && dHidden) tape.give(hidden, dHidden);
  return losses;
}

export interface ContrastiveOperands {
  /** [B, D], not normalised. */
  readonly image: Tensor;
  /** [B, D], not normalised. */
  readonly text: Tensor;
  /** [1]: its exponential multiplies the cosines. */
  readonly logitScale: Tensor;
  /** [1] */
  readonly logitBias: Tensor;
}

/**
 * SigLIP's sigmoid loss of B pairs [1], unweighted; its gradients, `weight` times, are noted at once.
 * @throws ShapeError when sizes do not fit.
 */
export function sigmoidContrastive(operands: ContrastiveOperands, weight: number): Tensor {
  const { image, text, logitScale, logitBias } = operands;
  for (const [name, tensor] of Object.entries(operands)) expectF32("contrastive_loss", name, tensor as Tensor);
  if (formatShape(image.shape) !== formatShape(text.shape) || image.shape.length !== 2) {
    throw new ShapeError(
      "contrastive_loss",
      `expected image and text [B, D], got ${formatShape(image.shape)}, ${formatShape(text.shape)}`,
    );
  }
  const { backend } = image;
  const tape = isNeeded(image, text, logitScale, logitBias) ? openTape() : null;
  const loss = empty(backend, "f32", [1]);
  const target = (tensor: Tensor): Tensor =>
    tape?.sumOrScratch(tensor) ?? Tensor.from(backend, "f32", new Float32Array(tensor.storage.length), tensor.shape);
  const gradients = {
    image: target(image),
    text: target(text),
    logitScale: target(logitScale),
    logitBias: target(logitBias),
  };
  trainingOf(backend).sigmoidContrastive(loss, gradients, operands, weight);
  return loss;
}
