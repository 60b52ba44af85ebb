/** Losses, clipping and the optimiser against PyTorch's in float64. On every backend. */
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { trainingOf } from "../../src/backend/training-backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { linearCrossEntropy, sigmoidContrastive } from "../../src/tensor/losses.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { dpoLoss } from "../../src/train/dpo-loss.ts";
import { clipScale } from "../../src/train/optimizer.ts";
import { shiftedTargets } from "../../src/train/targets.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { describeOnLearningBackends } from "../models/backends.ts";
import {
  expectWithin,
  type GoldenCase,
  goldenOp,
  integersOf,
  Leaves,
  runBackward,
  shapeOf,
  tensorOf,
  valuesOf,
} from "./golden-op.ts";

/** Targets of labels [B, N], each row a sequence. */
function targetsOf(source: TensorSource, name: string): Int32Array {
  const shape = shapeOf(source, name);
  const [B, N] = shape.length === 2 ? shape : [1, shape[0]];
  return shiftedTargets(
    integersOf(source, name),
    Int32Array.from({ length: B + 1 }, (_, b) => b * N),
  );
}

/** Losses and gradients of logits [T, V] with the same weight for every row. */
async function crossEntropy(
  backend: Backend,
  logits: Float32Array,
  targets: Int32Array,
  weights: Float32Array,
  soft: { ids: number[]; std: number } | null = null,
): Promise<{ losses: Float32Array; gradient: Float32Array }> {
  const T = targets.length;
  const losses = Tensor.from(backend, "f32", new Float32Array(T), [T]);
  const x = Tensor.from(backend, "f32", logits.slice(), [T, logits.length / T]);
  const i32 = (values: Int32Array): Tensor => Tensor.from(backend, "i32", values, [values.length]);
  const softTargets = soft && { ids: i32(Int32Array.from(soft.ids)), std: soft.std };
  trainingOf(backend).crossEntropy(losses, x, i32(targets), Tensor.from(backend, "f32", weights, [T]), softTargets);
  return { losses: await losses.readF32(), gradient: await x.readF32() };
}

const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);
const kept = (targets: Int32Array): number => targets.filter((id) => id >= 0).length;

describeGolden("losses", (dir) => {
  describeOnLearningBackends("losses", (backend) => {
    for (const op of ["cross_entropy", "soft_cross_entropy"]) {
      it(op, async () => {
        const { cases, source, tolerance } = goldenOp(dir, op);
        for (const { id, attrs, inputs, outputs, upstream, grads } of cases) {
          const targets = attrs.shift === false ? integersOf(source, inputs.labels) : targetsOf(source, inputs.labels);
          const N = (attrs.numItems as number | null) ?? kept(targets);
          const weights = new Float32Array(targets.length).fill(valuesOf(source, upstream.y)[0] / N);
          const soft = attrs.softTokens ? { ids: attrs.softTokens as number[], std: attrs.std as number } : null;
          const result = await crossEntropy(backend, valuesOf(source, inputs.logits), targets, weights, soft);
          expectWithin(`${id} loss`, [sum(result.losses) / N], valuesOf(source, outputs.y), tolerance);
          expectWithin(`${id} dlogits`, result.gradient, valuesOf(source, grads.logits), tolerance);
        }
      });
    }

    it("log-softmax, an output at a time", async () => {
      const { cases, source, tolerance } = goldenOp(dir, "softmax");
      const test = cases.find(({ id }) => id === "log_softmax") as GoldenCase;
      const [T, V] = shapeOf(source, test.inputs.x);
      const upstream = valuesOf(source, test.upstream.y);
      const y = new Float32Array(T * V);
      const gradient = new Float32Array(T * V);
      for (let v = 0; v < V; v++) {
        const weights = Float32Array.from({ length: T }, (_, t) => -upstream[t * V + v]);
        const result = await crossEntropy(backend, valuesOf(source, test.inputs.x), new Int32Array(T).fill(v), weights);
        for (let t = 0; t < T; t++) y[t * V + v] = -result.losses[t];
        for (let i = 0; i < gradient.length; i++) gradient[i] += result.gradient[i];
      }
      expectWithin("y", y, valuesOf(source, test.outputs.y), tolerance);
      expectWithin("dx", gradient, valuesOf(source, test.grads.x), tolerance);
    });

    it("linear_cross_entropy", async () => {
      const { cases, source, tolerance } = goldenOp(dir, "linear_cross_entropy");
      for (const { id, attrs, inputs, outputs, upstream, grads } of cases) {
        const [B, N, C] = shapeOf(source, inputs.hidden);
        const leaves = new Leaves(backend);
        const hidden = leaves.add("hidden", tensorOf(backend, source, inputs.hidden));
        const weight = leaves.add("weight", tensorOf(backend, source, inputs.weight));
        const targets = targetsOf(source, inputs.labels);
        const items = attrs.numItems as number;
        const weights = new Float32Array(targets.length).fill(valuesOf(source, upstream.y)[0] / items);
        const losses = runBackward(backend, leaves, null, () =>
          linearCrossEntropy(hidden.reshape([B * N, C]), weight, { targets, weights }),
        );
        expectWithin(`${id} loss`, [sum(await losses.readF32()) / items], valuesOf(source, outputs.y), tolerance);
        for (const [name, golden] of Object.entries(grads)) {
          const actual = (await leaves.gradients.get(name)?.readF32()) ?? [];
          expectWithin(`${id} d${name}`, actual, valuesOf(source, golden), tolerance);
        }
      }
    });

    it("siglip_loss", async () => {
      const { cases, source, tolerance } = goldenOp(dir, "siglip_loss");
      for (const { id, inputs, outputs, upstream, grads } of cases) {
        const leaves = new Leaves(backend);
        const input = (name: string): Tensor => leaves.add(name, tensorOf(backend, source, inputs[name]));
        const operands = {
          image: input("image"),
          text: input("text"),
          logitScale: input("logit_scale").reshape([1]),
          logitBias: input("logit_bias").reshape([1]),
        };
        const weight = valuesOf(source, upstream.y)[0];
        const loss = runBackward(backend, leaves, null, () => sigmoidContrastive(operands, weight));
        expectWithin(`${id} loss`, await loss.readF32(), valuesOf(source, outputs.y), tolerance);
        for (const [name, golden] of Object.entries(grads)) {
          const actual = (await leaves.gradients.get(name)?.readF32()) ?? [];
          expectWithin(`${id} d${name}`, actual, valuesOf(source, golden), tolerance);
        }
      }
    });

    it("dpo_loss", async () => {
      const { cases, source, tolerance } = goldenOp(dir, "dpo_loss");
      for (const { id, attrs, inputs, outputs, upstream, grads } of cases) {
        const [B, N] = shapeOf(source, inputs.chosen_labels);
        const targets = { c: targetsOf(source, inputs.chosen_labels), r: targetsOf(source, inputs.rejected_labels) };
        const logps = async (name: string): Promise<Float64Array> => {
          const rows = targets[name.endsWith("c") ? "c" : "r"];
          const { losses } = await crossEntropy(backend, valuesOf(source, inputs[name]), rows, new Float32Array(B * N));
          return Float64Array.from({ length: B }, (_, b) => -sum(losses.subarray(b * N, (b + 1) * N)));
        };
        const result = dpoLoss(
          {
            policyChosen: await logps("pc"),
            policyRejected: await logps("pr"),
            referenceChosen: await logps("rc"),
            referenceRejected: await logps("rr"),
          },
          { beta: attrs.beta as number, labelSmoothing: attrs.labelSmoothing as number },
        );
        expectWithin(`${id} loss`, [result.loss], valuesOf(source, outputs.y), tolerance);
        expectWithin(`${id} losses`, result.losses, valuesOf(source, outputs.losses), tolerance);
        expectWithin(`${id} chosen`, result.chosenRewards, valuesOf(source, outputs.chosen_rewards), tolerance);
        expectWithin(`${id} rejected`, result.rejectedRewards, valuesOf(source, outputs.rejected_rewards), tolerance);
        const up = valuesOf(source, upstream.y)[0];
        for (const [name, rows, sign] of [
          ["pc", targets.c, -1],
          ["pr", targets.r, 1],
        ] as const) {
          const weights = Float32Array.from({ length: B * N }, (_, t) => up * sign * result.dChosen[Math.floor(t / N)]);
          const { gradient } = await crossEntropy(backend, valuesOf(source, inputs[name]), rows, weights);
          expectWithin(`${id} d${name}`, gradient, valuesOf(source, grads[name]), tolerance);
        }
      }
    });

    it("grad_clip", async () => {
      interface Clip {
        readonly id: string;
        readonly maxNorm: number;
        readonly norm: number;
        readonly grads: readonly string[];
        readonly clipped: readonly string[];
      }
      const { cases, source, tolerance } = goldenOp<Clip>(dir, "grad_clip");
      for (const { id, maxNorm, norm, grads, clipped } of cases) {
        let squares = 0;
        for (const name of grads) {
          const out = Tensor.from(backend, "f32", new Float32Array(1), [1]);
          trainingOf(backend).sumOfSquares(out, tensorOf(backend, source, name));
          squares += (await out.readF32())[0];
        }
        expectWithin(`${id} norm`, [Math.sqrt(squares)], [norm], tolerance);
        const scale = clipScale(Math.sqrt(squares), maxNorm);
        for (const [i, name] of grads.entries()) {
          const actual = valuesOf(source, name).map((value) => value * scale);
          expectWithin(`${id} ${name}`, actual, valuesOf(source, clipped[i]), tolerance);
        }
      }
    });

    it("adamw", async () => {
      interface Steps {
        readonly id: string;
        readonly lr: number;
        readonly weightDecay: number;
        readonly betas: readonly [number, number];
        readonly eps: number;
        readonly steps: number;
      }
      const { cases, source, tolerance } = goldenOp<Steps>(dir, "adamw");
      for (const { id, lr, weightDecay, betas, eps, steps } of cases) {
        const p = tensorOf(backend, source, `${id}.p0`);
        const [m, v] = [0, 1].map(() => Tensor.from(backend, "f32", new Float32Array(p.storage.length), p.shape));
        for (let step = 1; step <= steps; step++) {
          trainingOf(backend).adamw(p, m, v, tensorOf(backend, source, `${id}.g${step}`), {
            learningRate: lr,
            beta1: betas[0],
            beta2: betas[1],
            eps,
            weightDecay,
            step,
            gradientScale: 1,
          });
          for (const [name, tensor] of Object.entries({ p, m, v })) {
            const golden = valuesOf(source, `${id}.${name}${step}`);
            expectWithin(`${id} ${name}${step}`, await tensor.readF32(), golden, {
              ...tolerance,
              atol: name === "v" ? 1e-12 : tolerance.atol,
            });
          }
        }
      }
    });
  });
});

it("a sequence's last row predicts nothing", () => {
  expect([...shiftedTargets(Int32Array.of(5, 6, 7, 8), Int32Array.of(0, 2, 4))]).toEqual([6, -100, 8, -100]);
});
