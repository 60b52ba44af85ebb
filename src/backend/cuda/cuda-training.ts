/** Learning on the `cuda` backend: every gradient, the losses and the optimisers on the GPU; SigLIP's loss of a batch of pairs on the host. */
import type { Operand } from "../backend.ts";
import { HostMemory, hostArray } from "../host.ts";
import { rowsOf, widthOf } from "../operand-sizes.ts";
import { referenceTraining } from "../reference/training/reference-training.ts";
import type { ContrastiveGradients, TrainingBackend } from "../training-backend.ts";
import type { CudaBinding } from "./binding.ts";
import { callOf, dense } from "./cuda-arguments.ts";
import { type CudaMemory, f32, i32, orNull } from "./cuda-memory.ts";
import type { OffsetCache } from "./offset-cache.ts";

export function cudaTraining(native: CudaBinding, memory: CudaMemory, offsets: OffsetCache): TrainingBackend {
  return {
    accumulate: (target, source) => native.accumulate(f32(target), f32(source), target.storage.length),

    linearBackwardInput: (dx, dy, weight) => {
      const [M, C] = weight.shape;
      native.linearBackwardInput(f32(dx), f32(dy), dense(weight), rowsOf(dy), C, M);
    },

    linearBackwardWeight: (dWeight, dBias, dy, x) =>
      native.linearBackwardWeight(orNull(dWeight), orNull(dBias), f32(dy), f32(x), rowsOf(x), widthOf(x), widthOf(dy)),

    layerNormBackward: (dx, dWeight, dBias, dy, x, weight, eps) =>
      native.layerNormBackward(
        f32(dx),
        orNull(dWeight),
        orNull(dBias),
        f32(dy),
        f32(x),
        dense(weight),
        eps,
        rowsOf(x),
        widthOf(x),
      ),

    rmsNormBackward: (dx, dWeight, dy, x, weight, eps) =>
      native.rmsNormBackward(f32(dx), orNull(dWeight), f32(dy), f32(x), dense(weight), eps, rowsOf(x), widthOf(x)),

    attentionBackward: (dq, dk, dv, q, k, v, out, dOut, options) => {
      const { offsetsQ, offsetsK, segments, T, S, H, Hkv, D } = callOf(q, k, options, offsets);
      native.attentionBackward(
        f32(dq),
        f32(dk),
        f32(dv),
        f32(q),
        f32(k),
        f32(v),
        f32(out),
        f32(dOut),
        offsetsQ,
        offsetsK,
        segments,
        T,
        S,
        H,
        Hkv,
        D,
        options.scale,
        options.causal,
      );
    },

    ropeBackward: (dx, dy, positions, theta) => {
      const [T, H, D] = dx.shape;
      native.rope(f32(dx), f32(dy), i32(positions), theta, -1, T, H, D);
    },

    geluBackward: (dx, dy, x, kind) => native.geluBackward(f32(dx), f32(dy), f32(x), kind === "tanh", x.storage.length),

    swigluBackward: (dGate, dUp, dy, gate, up) =>
      native.swigluBackward(f32(dGate), f32(dUp), f32(dy), f32(gate), f32(up), gate.storage.length),

    embeddingBackward: (dTable, ids, dy) =>
      native.embeddingBackward(f32(dTable), i32(ids), f32(dy), ids.storage.length, dTable.shape[1]),

    patchEmbedBackward: (dWeight, dBias, dPosition, dy, pixels) => {
      const [B, , S] = pixels.shape;
      const [C, , patch] = dWeight.shape;
      native.patchEmbedBackward(f32(dWeight), f32(dBias), f32(dPosition), f32(dy), f32(pixels), B, S, patch, C);
    },

    spaceToChannelBackward: (dx, dy, k) => {
      const [B, s, , C] = dx.shape;
      native.spaceToChannelBackward(f32(dx), f32(dy), B, s, C, k);
    },

    areaResizeBackward: (dx, dy) => {
      const [h, w, C] = dx.shape;
      native.areaResizeBackward(f32(dx), f32(dy), h, w, C, dy.shape[0], dy.shape[1]);
    },

    pool3dBackward: (dx, dy, [pt, ph, pw]) => {
      const [F, h, w, C] = dx.shape;
      native.pool3dBackward(f32(dx), f32(dy), F, h, w, C, pt, ph, pw);
    },

    takeColumns: (out, x, column) => {
      const C = widthOf(out);
      native.copyColumns(f32(out), C, 0, f32(x), widthOf(x), column, rowsOf(out), C);
    },

    crossEntropy: (losses, logits, targets, weights, soft) => {
      const [T, V] = logits.shape;
      const [ids, count, std] = soft ? [i32(soft.ids), soft.ids.storage.length, soft.std] : [0, 0, 1];
      native.crossEntropy(f32(losses), f32(logits), i32(targets), f32(weights), ids, count, std, T, V);
    },

    sigmoidContrastive: (loss, gradients, operands, weight) =>
      contrastiveOnHost(memory, loss, gradients, operands, weight),

    sumOfSquares: (out, x) => native.sumOfSquares(f32(out), f32(x), x.storage.length),

    adamw: (parameter, m, v, gradient, options) => {
      const { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
      native.adamw(
        f32(parameter),
        f32(m),
        f32(v),
        f32(gradient),
        learningRate,
        beta1,
        beta2,
        eps,
        weightDecay,
        1 - beta1 ** step,
        1 - beta2 ** step,
        gradientScale,
        parameter.storage.length,
      );
    },

    muon: (matrices, { rate, momentum, gradientScale, polynomial: [a, b, c], rounds }) => {
      const [rows, columns] = matrices[0].parameter.shape;
      const count = matrices.length;
      for (const [at, { m, gradient }] of matrices.entries()) {
        native.muonTake(f32(m), f32(gradient), momentum, gradientScale, at, rows, columns, count);
      }
      native.muonRounds(a, b, c, rounds, rows, columns, count);
      for (const [at, { parameter }] of matrices.entries()) {
        native.muonGive(f32(parameter), rate, at, rows, columns, count);
      }
    },
  };
}

/** A batch of pairs is small: the definition, on copies. */
function contrastiveOnHost(
  memory: CudaMemory,
  loss: Operand,
  gradients: ContrastiveGradients,
  operands: ContrastiveGradients,
  weight: number,
): void {
  const host = new HostMemory();
  const read = ({ storage, shape }: Operand): Operand => ({
    dtype: "f32",
    shape,
    storage: host.wrap("f32", memory.read(storage)),
  });
  const all = ({ image, text, logitScale, logitBias }: ContrastiveGradients): ContrastiveGradients => ({
    image: read(image),
    text: read(text),
    logitScale: read(logitScale),
    logitBias: read(logitBias),
  });
  const [result, sums] = [read(loss), all(gradients)];
  referenceTraining.sigmoidContrastive(result, sums, all(operands), weight);
  const write = (target: Operand, source: Operand): void =>
    memory.copy(target.storage, 0, memory.wrap("f32", hostArray(source)));
  write(loss, result);
  for (const name of ["image", "text", "logitScale", "logitBias"] as const) write(gradients[name], sums[name]);
}
