/**
 * The gradients of the reference against finite differences in float64: the same plain loops run over Float64Arrays, so that nothing is
 * rounded between the operation and the difference. Weights are rounded to f32 inside, so inputs step from one f32 to another.
 */
import { describe, expect, it } from "vitest";
import type { Operand } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { referenceTraining as training } from "../../src/backend/reference/training/reference-training.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import { noiseSource } from "../ops/inputs.ts";

const reference = new ReferenceBackend();
const STEP = 2 ** -10;

interface Case {
  readonly name: string;
  readonly inputs: readonly Shape[];
  readonly out: Shape;
  forward(out: Operand, inputs: readonly Operand[]): void;
  /** Writes or adds (to zeros) the gradient of every input. */
  backward(gradients: readonly Operand[], dy: Operand, inputs: readonly Operand[], out: Operand): void;
}

/** An operand that holds f64: the reference's loops do not notice. */
function f64(values: ArrayLike<number>, shape: Shape): Operand {
  const array = Float64Array.from(values);
  return { storage: { dtype: "f32", length: array.length, array, isOwned: false } as never, shape, dtype: "f32" };
}

const i32 = (values: readonly number[]): Operand => ({
  storage: reference.wrap("i32", Int32Array.from(values)),
  shape: [values.length],
  dtype: "i32",
});

function valuesOf(operand: Operand): Float64Array {
  return (operand.storage as unknown as { array: Float64Array }).array;
}

const attentionOptions = (causal: boolean, q: number[], k: number[]) => ({
  scale: 0.6,
  causal,
  cuSeqlensQ: Int32Array.from(q),
  cuSeqlensK: Int32Array.from(k),
});

const elementwise = (name: string, count: number, forward: Case["forward"], backward: Case["backward"]): Case => ({
  name,
  inputs: new Array<Shape>(count).fill([3, 5]),
  out: [3, 5],
  forward,
  backward,
});

const attention = (name: string, H: number, Hkv: number, options: ReturnType<typeof attentionOptions>): Case => ({
  name,
  inputs: [
    [options.cuSeqlensQ.at(-1) ?? 0, H, 3],
    [options.cuSeqlensK.at(-1) ?? 0, Hkv, 3],
    [options.cuSeqlensK.at(-1) ?? 0, Hkv, 3],
  ],
  out: [options.cuSeqlensQ.at(-1) ?? 0, H, 3],
  forward: (out, [q, k, v]) => reference.attention(out, q, k, v, options),
  backward: ([dq, dk, dv], dy, [q, k, v], out) => training.attentionBackward(dq, dk, dv, q, k, v, out, dy, options),
});

const TARGETS = i32([1, 4, -100, 2]);
const WEIGHTS = f64([0.5, 1, 1, -0.7], [4]);
const SOFT = { ids: i32([3, 4, 6]), std: 1.2 };

const CASES: readonly Case[] = [
  {
    name: "linear",
    inputs: [[4, 5], [3, 5], [3]],
    out: [4, 3],
    forward: (out, [x, w, b]) => reference.linear(out, x, w, b),
    backward: ([dx, dw, db], dy, [x, w]) => {
      training.linearBackwardInput(dx, dy, w);
      training.linearBackwardWeight(dw, db, dy, x);
    },
  },
  {
    name: "layerNorm",
    inputs: [[3, 6], [6], [6]],
    out: [3, 6],
    forward: (out, [x, w, b]) => reference.layerNorm(out, x, w, b, 1e-5),
    backward: ([dx, dw, db], dy, [x, w]) => training.layerNormBackward(dx, dw, db, dy, x, w, 1e-5),
  },
  {
    name: "rmsNorm",
    inputs: [[3, 6], [6]],
    out: [3, 6],
    forward: (out, [x, w]) => reference.rmsNorm(out, x, w, 1e-6),
    backward: ([dx, dw], dy, [x, w]) => training.rmsNormBackward(dx, dw, dy, x, w, 1e-6),
  },
  attention("attention, causal, grouped heads, segments", 4, 2, attentionOptions(true, [0, 3, 5], [0, 4, 6])),
  attention("attention, bidirectional", 2, 2, attentionOptions(false, [0, 4], [0, 5])),
  {
    name: "rope",
    inputs: [[3, 2, 4]],
    out: [3, 2, 4],
    forward: (out, [x]) => reference.rope(out, x, i32([0, 3, 70]), 1e4),
    backward: ([dx], dy) => training.ropeBackward(dx, dy, i32([0, 3, 70]), 1e4),
  },
  ...(["tanh", "erf"] as const).map((kind) =>
    elementwise(
      `gelu ${kind}`,
      1,
      (out, [x]) => reference.gelu(out, x, kind),
      ([dx], dy, [x]) => training.geluBackward(dx, dy, x, kind),
    ),
  ),
  elementwise(
    "swiglu",
    2,
    (out, [gate, up]) => reference.swiglu(out, gate, up),
    ([dGate, dUp], dy, [gate, up]) => training.swigluBackward(dGate, dUp, dy, gate, up),
  ),
  {
    name: "patchEmbed",
    inputs: [[4, 3, 2, 2], [4], [4, 4]],
    out: [8, 4],
    forward: (out, [w, b, position]) => reference.patchEmbed(out, PIXELS, w, b, position),
    backward: ([dw, db, dPosition], dy) => training.patchEmbedBackward(dw, db, dPosition, dy, PIXELS),
  },
  {
    name: "spaceToChannel",
    inputs: [[2, 3, 3, 2]],
    out: [2, 2, 2, 8],
    forward: (out, [x]) => reference.spaceToChannel(out, x, 2),
    backward: ([dx], dy) => training.spaceToChannelBackward(dx, dy, 2),
  },
  {
    name: "areaResize",
    inputs: [[5, 4, 2]],
    out: [3, 6, 2],
    forward: (out, [x]) => reference.areaResize(out, x),
    backward: ([dx], dy) => training.areaResizeBackward(dx, dy),
  },
  {
    name: "pool3d",
    inputs: [[4, 2, 4, 2]],
    out: [2, 1, 2, 2],
    forward: (out, [x]) => reference.pool3d(out, x, [2, 2, 2]),
    backward: ([dx], dy) => training.pool3dBackward(dx, dy, [2, 2, 2]),
  },
  {
    name: "concatColumns",
    inputs: [
      [3, 2],
      [3, 4],
    ],
    out: [3, 6],
    forward: (out, parts) => reference.concatColumns(out, parts),
    backward: ([a, b], dy) => {
      training.takeColumns(a, dy, 0);
      training.takeColumns(b, dy, 2);
    },
  },
  ...[null, SOFT].map(
    (soft): Case => ({
      name: soft ? "crossEntropy, soft" : "crossEntropy",
      inputs: [[4, 7]],
      out: [4],
      forward: (out, [logits]) =>
        training.crossEntropy(out, f64(valuesOf(logits), logits.shape), TARGETS, WEIGHTS, soft),
      // dy stands for the weights of the rows.
      backward: ([dLogits], dy, [logits]) => {
        valuesOf(dLogits).set(valuesOf(logits));
        training.crossEntropy(f64(new Array(4).fill(0), [4]), dLogits, TARGETS, dy, soft);
      },
    }),
  ),
  {
    name: "sigmoidContrastive",
    inputs: [[3, 4], [3, 4], [1], [1]],
    out: [1],
    forward: (out, [image, text, logitScale, logitBias]) =>
      training.sigmoidContrastive(
        out,
        { image: zeros([3, 4]), text: zeros([3, 4]), logitScale: zeros([1]), logitBias: zeros([1]) },
        { image, text, logitScale, logitBias },
        1,
      ),
    backward: ([dImage, dText, dScale, dBias], dy, [image, text, logitScale, logitBias]) =>
      training.sigmoidContrastive(
        zeros([1]),
        { image: dImage, text: dText, logitScale: dScale, logitBias: dBias },
        { image, text, logitScale, logitBias },
        valuesOf(dy)[0],
      ),
  },
];

const PIXELS = noise([2, 3, 4, 4], 99);

function zeros(shape: Shape): Operand {
  return f64(new Float64Array(elementCount(shape)), shape);
}

function noise(shape: Shape, seed: number): Operand {
  const next = noiseSource(seed);
  return f64(
    Array.from({ length: elementCount(shape) }, () => Math.fround(1.2 * next())),
    shape,
  );
}

describe("gradients against finite differences in float64", () => {
  for (const test of CASES) {
    it(test.name, () => {
      const inputs = test.inputs.map((shape, i) => noise(shape, i + 1));
      const dy = noise(test.out, 50);
      const out = zeros(test.out);
      const loss = (): number => {
        test.forward(out, inputs);
        return valuesOf(out).reduce((sum, value, i) => sum + value * valuesOf(dy)[i], 0);
      };
      loss();
      const gradients = test.inputs.map(zeros);
      test.backward(gradients, dy, inputs, out);
      for (const [i, input] of inputs.entries()) {
        const values = valuesOf(input);
        const analytic = valuesOf(gradients[i]);
        for (let j = 0; j < values.length; j++) {
          const value = values[j];
          const [above, below] = [Math.fround(value + STEP), Math.fround(value - STEP)];
          values[j] = above;
          const high = loss();
          values[j] = below;
          const low = loss();
          values[j] = value;
          const difference = (high - low) / (above - below);
          expect(
            Math.abs(analytic[j] - difference),
            `input ${i}, element ${j}: ${analytic[j]} against ${difference}`,
          ).toBeLessThan(2e-5);
        }
      }
      expect(gradients.some((gradient) => valuesOf(gradient).some((value) => value !== 0))).toBe(true);
    });
  }
});
