/**
 * Loss and gradient of every parameter of three tiny NVILA models, packed and sample by sample, accumulated, kept and recomputed; ten steps of
 * AdamW; the tune flags of the five stages. Against PyTorch in float64, on every backend.
 */
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { Learner, type LearnerOptions } from "../../src/train/learner.ts";
import type { ParameterSet } from "../../src/train/parameters.ts";
import { cosineWithWarmup } from "../../src/train/schedule.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { describeOnLearningBackends } from "../models/backends.ts";
import { goldenTensors } from "../models/golden-tensors.ts";
import {
  countItems,
  type GoldenModel,
  type GoldenSample,
  goldenModel,
  goldenSamples,
  packedBatch,
} from "./golden-model.ts";
import { expectWithin, integersOf, type Tolerance, valuesOf } from "./golden-op.ts";

const ALL = { llm: true, vision_tower: true, mm_projector: true };
/** From the README of the goldens: exact zeros in mathematics, noise in arithmetic. */
const ZERO_GRADIENT = /vision_tower.*k_proj\.bias$/;

interface Forward {
  readonly blockSizes: readonly (readonly [number, number] | null)[];
  readonly tilesPerImage: readonly number[];
  readonly numItems: number;
  readonly loss: number | { readonly packed: number };
  readonly noGradient: readonly string[];
  readonly gradNorm?: number;
  readonly tolerance?: { readonly loss: number; readonly grad: Tolerance };
}

const TOLERANCE = { loss: 1e-5, grad: { rtol: 1e-4, atol: 2e-6 } };

interface Ready {
  readonly golden: GoldenModel;
  readonly samples: readonly GoldenSample[];
}

async function prepare(
  dir: string,
  backend: Backend,
  place: string,
  layout: Pick<Forward, "blockSizes" | "tilesPerImage">,
): Promise<Ready> {
  const golden = await goldenModel(dir, backend, place);
  const samples = goldenSamples(goldenTensors(dir, `training/${place}/batch.safetensors`), golden, layout);
  return { golden, samples };
}

/** The samples of ../model, D (text only) included. */
async function abcd(dir: string, backend: Backend): Promise<Ready> {
  const ready = await prepare(dir, backend, "model", readGoldenJson<Forward>(dir, "training/model/forward.json"));
  const d = goldenTensors(dir, "training/model/sample_d.safetensors");
  const text: GoldenSample = {
    ids: [...integersOf(d, "input_ids")],
    labels: [...integersOf(d, "labels")],
    blockSizes: [],
    tiles: new Float32Array(0),
    videos: [],
  };
  return { ...ready, samples: [...ready.samples, text] };
}

function learnerOf({ model, parameters }: GoldenModel, options: Partial<LearnerOptions> = {}): Learner {
  return new Learner(model, parameters, { trained: ALL, ...options });
}

async function expectGradients(parameters: ParameterSet, source: TensorSource, tolerance: Tolerance): Promise<void> {
  const names = new Set(source.names);
  for (const { name, gradient } of parameters.all) {
    const golden = names.has(name) ? valuesOf(source, name) : new Float32Array(gradient.storage.length);
    expectWithin(`gradient of ${name}`, await gradient.readF32(), golden, tolerance);
    names.delete(name);
  }
  expect([...names], "gradients that no parameter has").toEqual([]);
}

describeGolden("training a tiny NVILA", (dir) => {
  describeOnLearningBackends("loss and gradients", (backend) => {
    it.each(["keep", "recompute"] as const)("NVILA, activations %s", async (activations) => {
      const forward = readGoldenJson<Forward>(dir, "training/model/forward.json");
      const { golden, samples } = await prepare(dir, backend, "model", forward);
      expect(countItems(samples)).toBe(forward.numItems);
      const learner = learnerOf(golden, { activations });
      const { loss } = await learner.gradients([packedBatch(golden, samples)], forward.numItems);
      expect(Math.abs(loss - (forward.loss as { packed: number }).packed)).toBeLessThan(TOLERANCE.loss);
      const source = goldenTensors(dir, "training/model/grads.safetensors");
      await expectGradients(golden.parameters, source, TOLERANCE.grad);
    });

    it("NVILA, sample by sample", async () => {
      const forward = readGoldenJson<Forward>(dir, "training/model/forward.json");
      const { golden, samples } = await prepare(dir, backend, "model", forward);
      const batches = samples.map((sample) => packedBatch(golden, [sample]));
      const { loss } = await learnerOf(golden).gradients(batches, forward.numItems);
      expect(Math.abs(loss - (forward.loss as { packed: number }).packed)).toBeLessThan(TOLERANCE.loss);
      const source = goldenTensors(dir, "training/model/grads.safetensors");
      await expectGradients(golden.parameters, source, TOLERANCE.grad);
    });

    it("NVILA-Lite: 3×3 projector, tied head", async () => {
      const forward = readGoldenJson<Forward>(dir, "training/model/lite/forward.json");
      const tiles = new Array<number>(16).fill(1);
      const layout = { blockSizes: tiles.map(() => null), tilesPerImage: tiles };
      const { golden, samples } = await prepare(dir, backend, "model/lite", layout);
      const { loss } = await learnerOf(golden).gradients([packedBatch(golden, samples)], forward.numItems);
      expect(Math.abs(loss - lossOf(forward))).toBeLessThan(TOLERANCE.loss);
      const source = goldenTensors(dir, "training/model/lite/grads.safetensors");
      await expectGradients(golden.parameters, source, TOLERANCE.grad);
    });

    it("NVILA-Video: temporal pooling, soft cross entropy", async () => {
      const forward = readGoldenJson<Forward>(dir, "training/model/video/forward.json");
      const config = readGoldenJson<{ time_token_ids: number[]; soft_ce_std: number }>(
        dir,
        "training/model/video/checkpoint/config.json",
      );
      const { golden, samples } = await prepare(dir, backend, "model/video", {
        blockSizes: [null],
        tilesPerImage: [1],
      });
      const soft = { ids: Int32Array.from(config.time_token_ids), std: config.soft_ce_std };
      const { loss } = await learnerOf(golden, { soft }).gradients([packedBatch(golden, samples)], forward.numItems);
      expect(Math.abs(loss - lossOf(forward))).toBeLessThan(TOLERANCE.loss);
      const source = goldenTensors(dir, "training/model/video/grads.safetensors");
      await expectGradients(golden.parameters, source, TOLERANCE.grad);
    });

    it("accumulation: micro-batches of any make give one gradient", async () => {
      interface Run {
        readonly name: string;
        readonly microBatches: readonly (readonly string[])[];
        readonly numItems: number;
        readonly loggedLoss: number;
      }
      const { runs } = readGoldenJson<{ runs: Run[] }>(dir, "training/model/accumulation.json");
      const { golden, samples } = await abcd(dir, backend);
      const learner = learnerOf(golden);
      for (const { name, microBatches, numItems, loggedLoss } of runs) {
        const letters = microBatches.flat();
        const batches = letters.map((batch) => [...batch].map((letter) => samples["ABCD".indexOf(letter)]));
        expect(countItems(batches.flat()), name).toBe(numItems);
        const packed = batches.map((batch) => packedBatch(golden, batch));
        const { loss } = await learner.gradients(packed, numItems);
        expect(Math.abs(loss - loggedLoss), name).toBeLessThan(TOLERANCE.loss);
        const file = letters.join("").includes("D") ? "grads_abcd" : "grads";
        const source = goldenTensors(dir, `training/model/${file}.safetensors`);
        await expectGradients(golden.parameters, source, TOLERANCE.grad);
      }
    });
  });

  describeOnLearningBackends("steps", (backend) => {
    interface Optimizer {
      readonly steps: number;
      readonly warmupSteps: number;
      readonly learningRate: number;
      readonly visionLearningRate: number;
      readonly learningRates: { readonly llmAndProjector: readonly number[]; readonly vision: readonly number[] };
      readonly losses: readonly number[];
      readonly gradNorms: readonly number[];
      readonly float32Deviation: Readonly<Record<string, number>>;
    }

    it.each(["packed", "accumulated"])("ten steps of AdamW, %s", async (kind) => {
      const optimizer = readGoldenJson<Optimizer>(dir, "training/model/optimizer.json");
      const forward = readGoldenJson<Forward>(dir, "training/model/forward.json");
      const { golden, samples } = await prepare(dir, backend, "model", forward);
      const learner = learnerOf(golden);
      const [a, b, c] = samples;
      const batches = (kind === "packed" ? [samples] : [[a, b], [c]]).map((part) => packedBatch(golden, part));
      for (let step = 0; step < optimizer.steps; step++) {
        const factor = cosineWithWarmup(step, optimizer.steps, 0.03);
        const [base, vision] = [optimizer.learningRate * factor, optimizer.visionLearningRate * factor];
        expect(Math.abs(base - optimizer.learningRates.llmAndProjector[step])).toBeLessThan(1e-12);
        expect(Math.abs(vision - optimizer.learningRates.vision[step])).toBeLessThan(1e-12);
        const result = await learner.step(batches, forward.numItems, {
          llm: base,
          mm_projector: base,
          vision_tower: vision,
        });
        expect(Math.abs(result.loss - optimizer.losses[step]), `loss of step ${step}`).toBeLessThan(2e-5);
        expect(Math.abs(result.gradientNorm / optimizer.gradNorms[step] - 1), `norm of step ${step}`).toBeLessThan(
          1e-4,
        );
      }
      const source = goldenTensors(dir, "training/model/final_weights.safetensors");
      for (const { name, tensor } of golden.parameters.all) {
        if (ZERO_GRADIENT.test(name)) continue;
        const atol = Math.max(1e-5, 4 * (optimizer.float32Deviation[name] ?? 0));
        expectWithin(`final ${name}`, await tensor.readF32(), valuesOf(source, name), { rtol: 0, atol });
      }
    });

    it("tune flags of the five stages", async () => {
      interface Stage {
        readonly stage: string;
        readonly tune: { readonly visionTower: boolean; readonly projector: boolean; readonly llm: boolean };
        readonly steps: number;
        readonly learningRate: number;
        readonly losses: readonly number[];
        readonly gradNorms: readonly number[];
        readonly changed: readonly string[];
        readonly noiseOnly: readonly string[];
        readonly embedRowsChanged: readonly number[];
        readonly summary: Readonly<
          Record<string, { deltaL2: number; l2: number; sum: number; first: number[]; last: number[] }>
        >;
      }
      const { stages } = readGoldenJson<{ stages: Stage[] }>(dir, "training/model/stages.json");
      const forward = readGoldenJson<Forward>(dir, "training/model/forward.json");
      for (const stage of stages) {
        const { golden, samples } = await prepare(dir, backend, "model", forward);
        const { visionTower, projector, llm } = stage.tune;
        const learner = learnerOf(golden, { trained: { vision_tower: visionTower, mm_projector: projector, llm } });
        const before = new Map<string, Float32Array>();
        for (const { name, tensor } of golden.parameters.all) before.set(name, (await tensor.readF32()).slice());
        const batch = packedBatch(golden, samples);
        for (let step = 0; step < stage.steps; step++) {
          const rate = stage.learningRate * cosineWithWarmup(step, stage.steps, 0.03);
          const rates = { llm: rate, mm_projector: rate, vision_tower: rate };
          const { loss, gradientNorm } = await learner.step([batch], forward.numItems, rates);
          expect(Math.abs(loss - stage.losses[step]), `${stage.stage}: loss ${step}`).toBeLessThan(2e-5);
          expect(Math.abs(gradientNorm / stage.gradNorms[step] - 1), `${stage.stage}: norm ${step}`).toBeLessThan(1e-4);
        }
        const changed: string[] = [];
        for (const { name, tensor } of golden.parameters.all) {
          const values = await tensor.readF32();
          const old = before.get(name) ?? values;
          if (values.some((value, i) => value !== old[i])) changed.push(name);
          const summary = stage.summary[name];
          if (!summary || ZERO_GRADIENT.test(name)) continue;
          const tolerance = { rtol: 2e-3, atol: 2e-5 };
          const delta = Math.sqrt(values.reduce((sum, value, i) => sum + (value - old[i]) ** 2, 0));
          expectWithin(`${stage.stage}: change of ${name}`, [delta], [summary.deltaL2], tolerance);
          expectWithin(
            `${stage.stage}: first of ${name}`,
            values.subarray(0, summary.first.length),
            summary.first,
            tolerance,
          );
          expectWithin(
            `${stage.stage}: last of ${name}`,
            values.subarray(-summary.last.length),
            summary.last,
            tolerance,
          );
        }
        const real = (names: readonly string[]): string[] => names.filter((name) => !ZERO_GRADIENT.test(name)).sort();
        expect(real(changed), stage.stage).toEqual(real(stage.changed));
      }
    });
  });
});

function lossOf({ loss }: Forward): number {
  return typeof loss === "number" ? loss : loss.packed;
}
