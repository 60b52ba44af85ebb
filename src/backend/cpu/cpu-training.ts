/**
 * Learning on the `cpu` backend: native kernels (native/kernels/*_backward.cc) for what costs time, the reference's loops on the same host
 * memory for the rest (moves and averages of maps, SigLIP's loss).
 */
import type { Operand } from "../backend.ts";
import { f32, i32 } from "../host.ts";
import { rowsOf, widthOf } from "../operand-sizes.ts";
import { referenceTraining } from "../reference/training/reference-training.ts";
import type { TrainingBackend } from "../training-backend.ts";
import type { Binding } from "./binding.ts";
import type { NativeContext } from "./native-types.ts";
import { weightArray, weightCode } from "./weight-argument.ts";

/** The operations, bound to a backend's context. */
export function cpuTraining(native: Binding, context: NativeContext): TrainingBackend {
  return {
    ...referenceTraining,

    accumulate: (target, source) => native.accumulate(context, f32(target), f32(source)),

    linearBackwardInput: (dx, dy, weight) => {
      const [M, C] = weight.shape;
      native.linearBackwardInput(context, f32(dx), f32(dy), weightArray(weight), weightCode(weight), rowsOf(dy), C, M);
    },

    linearBackwardWeight: (dWeight, dBias, dy, x) => {
      const [T, C, M] = [rowsOf(x), widthOf(x), widthOf(dy)];
      native.linearBackwardWeight(context, orNull(dWeight), orNull(dBias), f32(dy), f32(x), T, C, M);
    },

    layerNormBackward: (dx, dWeight, dBias, dy, x, weight, eps) => {
      const [w, code] = [weightArray(weight), weightCode(weight)];
      const [T, C] = [rowsOf(x), widthOf(x)];
      const [gradient, bias] = [orNull(dWeight), orNull(dBias)];
      native.layerNormBackward(context, f32(dx), gradient, bias, f32(dy), f32(x), w, code, eps, T, C);
    },

    rmsNormBackward: (dx, dWeight, dy, x, weight, eps) => {
      const [w, code] = [weightArray(weight), weightCode(weight)];
      const [T, C] = [rowsOf(x), widthOf(x)];
      native.rmsNormBackward(context, f32(dx), orNull(dWeight), f32(dy), f32(x), w, code, eps, T, C);
    },

    attentionBackward: (dq, dk, dv, q, k, v, out, dOut, { scale, causal, cuSeqlensQ, cuSeqlensK }) => {
      const [T, H, D] = q.shape;
      const [S, Hkv] = k.shape;
      native.attentionBackward(
        context,
        f32(dq),
        f32(dk),
        f32(dv),
        f32(q),
        f32(k),
        f32(v),
        f32(out),
        f32(dOut),
        cuSeqlensQ,
        cuSeqlensK,
        ((cuSeqlensQ ?? cuSeqlensK)?.length ?? 2) - 1,
        T,
        S,
        H,
        Hkv,
        D,
        scale,
        causal ? 1 : 0,
      );
    },

    ropeBackward: (dx, dy, positions, theta) => {
      const [T, H, D] = dx.shape;
      const back = i32(positions).map((position) => -position);
      native.rope(context, f32(dx), f32(dy), back, theta, T, H, D);
    },

    geluBackward: (dx, dy, x, kind) => {
      if (kind === "tanh") native.geluTanhBackward(context, f32(dx), f32(dy), f32(x));
      else native.geluErfBackward(context, f32(dx), f32(dy), f32(x));
    },

    swigluBackward: (dGate, dUp, dy, gate, up) =>
      native.swigluBackward(context, f32(dGate), f32(dUp), f32(dy), f32(gate), f32(up)),

    takeColumns: (out, x, column) => {
      const [rows, width, target] = [f32(x), widthOf(x), f32(out)];
      const C = widthOf(out);
      for (let t = 0; t * C < target.length; t++) {
        target.set(rows.subarray(t * width + column, t * width + column + C), t * C);
      }
    },

    embeddingBackward: (dTable, ids, dy) => {
      const [V, C] = dTable.shape;
      native.embeddingBackward(context, f32(dTable), i32(ids), f32(dy), ids.storage.length, V, C);
    },

    patchEmbedBackward: (dWeight, dBias, dPosition, dy, pixels) => {
      const [B, , S] = pixels.shape;
      const [C, , patch] = dWeight.shape;
      const [weight, bias, position] = [f32(dWeight), f32(dBias), f32(dPosition)];
      native.patchEmbedBackward(context, weight, bias, position, f32(dy), f32(pixels), B, S, patch, C);
    },

    crossEntropy: (losses, logits, targets, weights, soft) => {
      const [T, V] = logits.shape;
      const ids = soft ? i32(soft.ids) : null;
      const std = soft?.std ?? 1;
      const count = ids?.length ?? 0;
      native.crossEntropy(context, f32(losses), f32(logits), i32(targets), f32(weights), ids, count, std, T, V);
    },

    sumOfSquares: (out, x) => {
      f32(out)[0] = native.sumOfSquares(context, f32(x));
    },

    adamw: (parameter, m, v, gradient, options) => {
      const { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
      native.adamw(
        context,
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
      );
    },
  };
}

function orNull(operand: Operand | null): Float32Array | null {
  return operand && f32(operand);
}
