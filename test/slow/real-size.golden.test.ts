/**
 * The modules at the size of released models against numbers of the original: so400m tower (26 of 27 layers), both projectors, two layers
 * of Qwen2-1.5B. Weights come from the published recipe, nothing is stored. Every sampled number is checked, and mean, spread and
 * largest value over all elements. The reference backend, which takes a minute per layer, runs the first two layers of the tower and
 * all of the rest.
 */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend, type DeviceName } from "../../src/backend/registry.ts";
import { llmTensors, projectorTensors, visionTensors } from "../../src/checkpoint/preset-tensors.ts";
import { type ModelPreset, presetOf } from "../../src/checkpoint/presets.ts";
import { RecipeTensors } from "../../src/checkpoint/random-recipe.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { Projector } from "../../src/models/projector/projector.ts";
import { type Qwen2Config, Qwen2Model } from "../../src/models/qwen2/qwen2-model.ts";
import { type SiglipConfig, SiglipVisionTower } from "../../src/models/siglip/siglip-vision-tower.ts";
import { pixelValues } from "../../src/preprocess/pixels.ts";
import * as ops from "../../src/tensor/ops.ts";
import { runSteps, scope } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { messageOf } from "../../src/util/errors.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";

/** Statistics and samples of one tensor. */
interface Sampled {
  readonly mean: number;
  readonly std: number;
  readonly max_abs: number;
  /** Worst deviation of the original in float32 over all elements. */
  readonly torch_f32_max_abs_dev: number;
}
type Samples = readonly { readonly at: readonly [number, number]; readonly value: number }[];

interface RealSize {
  readonly recipe: { readonly seed: number };
  readonly input_tile: { readonly sha256_u8_hwc: string };
  readonly stages: {
    readonly vision_tower: { readonly samples: Readonly<Record<string, Sampled & { readonly values: Samples }>> };
    readonly projector_lite_2b: Sampled & { readonly samples: Samples };
    readonly projector_8b_s2_single_tile: Sampled & { readonly samples: Samples };
    readonly qwen2_1p5b_2layers: {
      readonly ids_before_media: readonly number[];
      readonly ids_after_media: readonly number[];
      readonly sequence_length: number;
      readonly samples: Readonly<Record<"after_layer_1" | "final", Sampled & { readonly values: Samples }>>;
      readonly logits_last_position: Sampled & {
        readonly values: readonly { readonly id: number; readonly value: number }[];
        readonly top: readonly { readonly id: number; readonly value: number }[];
      };
    };
  };
}

/** From the goldens' README: room for another order of summation. */
const ROOM = 4;
const LAYERS_ON_REFERENCE = 2;

const lite = presetOf("nvila-lite-2b");
const vision: SiglipConfig = { ...lite.vision, layers: 26, layerNormEps: 1e-6, hiddenAct: "gelu_pytorch_tanh" };
const llm: Qwen2Config = {
  ...lite.llm,
  layers: 2,
  headDim: lite.llm.hiddenSize / lite.llm.heads,
  ropeTheta: 1e6,
  rmsNormEps: 1e-6,
};

registerCpuBackend();

describeGolden("modules at real size", (dir) => {
  const golden = readGoldenJson<RealSize>(dir, "recipe/real_size.json");
  const { stages } = golden;
  /** hidden_states[26] of the fast backend: input of the projectors on every backend. */
  let visionOut: Float32Array | null = null;
  /** Rows of the projector, input of the language model. */
  let mediaRows: Float32Array | null = null;

  const weights = (backend: Backend, shapes: ReadonlyMap<string, readonly number[]>, hashPrefix = ""): Weights =>
    new Weights(new RecipeTensors(shapes, { seed: golden.recipe.seed, dtype: "f32", hashPrefix }), backend);

  for (const device of ["cpu", "reference"] as const satisfies readonly DeviceName[]) {
    const make = (): Backend => createBackend(device, {}, () => {});
    const reason = reasonAgainst(make);
    if (reason) console.warn(`skipped real size on ${device}: ${reason}`);
    const itRuns = reason ? it.skip : it;

    itRuns(`vision tower on ${device}`, async () => {
      const backend = make();
      const layers = device === "reference" ? LAYERS_ON_REFERENCE : vision.layers;
      const tower = new SiglipVisionTower(weights(backend, visionTensors(vision)), { ...vision, layers }, -1);
      const offsets = Int32Array.of(0, tower.tokensPerTile);
      let x = scope(() => tower.embeddings.forward(inputPixels(backend, golden.input_tile.sha256_u8_hwc)));
      for (let i = 0; i <= layers; i++) {
        const expected = stages.vision_tower.samples[i];
        if (expected) await expectSamples(`hidden state ${i}`, x, expected, expected.values);
        if (i < layers) x = scope(() => tower.layers[i].forward(x, offsets)); // [1024, 1152]
      }
      if (layers === vision.layers) visionOut = await x.readF32();
    });

    const projectors: [string, ModelPreset, string, Sampled & { samples: Samples }][] = [
      ["3×3 projector", lite, "mm_projector.", stages.projector_lite_2b],
      ["2×2 projector of three scales", presetOf("nvila-8b"), "mm_projector_s2.", stages.projector_8b_s2_single_tile],
    ];
    for (const [name, preset, hashPrefix, expected] of projectors) {
      itRuns(`${name} on ${device}`, async (context) => {
        if (!visionOut) return context.skip("needs the vision tower of the cpu backend");
        const backend = make();
        const width = preset.vision.hiddenSize * preset.scales;
        const projector = new Projector(weights(backend, projectorTensors(preset), hashPrefix), {
          type: preset.projector,
          inputWidth: width,
          outputWidth: preset.llm.hiddenSize,
        });
        const x = Tensor.from(backend, "f32", visionOut, [1, 1024, vision.hiddenSize]);
        const y = scope(() => projector.forward(ops.concatColumns(new Array<Tensor>(preset.scales).fill(x))));
        const rows = y.reshape(y.shape.slice(1)); // [121, 1536] or [256, 3584]
        await expectSamples(name, rows, expected, expected.samples);
        if (preset === lite && device === "cpu") mediaRows = await rows.readF32();
      });
    }

    itRuns(`language model on ${device}`, async (context) => {
      if (!mediaRows) return context.skip("needs the projector of the cpu backend");
      const backend = make();
      const stage = stages.qwen2_1p5b_2layers;
      const shapes = llmTensors({ ...lite.llm, layers: llm.layers });
      const model = new Qwen2Model(weights(backend, shapes), llm, lite.llm.vocabulary);
      const media = Tensor.from(backend, "f32", mediaRows, [mediaRows.length / llm.hiddenSize, llm.hiddenSize]);
      const inputs = scope(() =>
        ops.concatRows([
          model.embed(Int32Array.from(stage.ids_before_media)),
          media,
          model.embed(Int32Array.from(stage.ids_after_media)),
        ]),
      ); // [144, 1536]
      expect(inputs.shape).toEqual([stage.sequence_length, llm.hiddenSize]);
      const cache = model.createCache(stage.sequence_length);
      const seen: Promise<void>[] = [];
      const onLayer = (index: number, hidden: Tensor): void => {
        const key = index === 1 ? "after_layer_1" : index === 2 ? "final" : null;
        if (key) seen.push(expectSamples(key, hidden, stage.samples[key], stage.samples[key].values));
      };
      const logits = await runSteps(model.forward(inputs, cache, { onLayer }), () => {}); // [1, V]
      expect(seen.length).toBe(2);
      await Promise.all(seen);
      const expected = stage.logits_last_position;
      const top = expected.top.map(({ id, value }) => ({ at: [0, id] as [number, number], value }));
      const samples = expected.values.map(({ id, value }) => ({ at: [0, id] as [number, number], value }));
      await expectSamples("logits", logits, expected, [...samples, ...top]);
      const values = await logits.readF32();
      const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
      expect(order.slice(0, top.length)).toEqual(expected.top.map(({ id }) => id));
    });
  }
});

function reasonAgainst(make: () => Backend): string | null {
  try {
    make();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** The tile of the recipe as pixels [1, 3, 448, 448]. */
function inputPixels(backend: Backend, sha256: string): Tensor {
  const S = vision.imageSize;
  const data = new Uint8Array(S * S * 3);
  for (let y = 0; y < S; y++) {
    for (let x = 0; x < S; x++) {
      for (let c = 0; c < 3; c++) data[(y * S + x) * 3 + c] = (3 * x + 5 * y + 71 * c + ((x * y) >> 4)) & 255;
    }
  }
  expect(createHash("sha256").update(data).digest("hex")).toBe(sha256);
  const half = [0.5, 0.5, 0.5];
  const normalization = { doRescale: true, rescaleFactor: 1 / 255, doNormalize: true, imageMean: half, imageStd: half };
  const pixels = pixelValues({ count: 1, size: S, data }, 0, 1, normalization);
  return Tensor.from(backend, "f32", pixels, [1, 3, S, S]);
}

/** Checks samples at [row, column] and the statistics of x[rows, columns]. The elements are taken at once. */
async function expectSamples(label: string, x: Tensor, expected: Sampled, samples: Samples): Promise<void> {
  const width = x.shape[1];
  const tolerance = ROOM * expected.torch_f32_max_abs_dev;
  const values = await x.readF32();
  let worst = 0;
  for (const { at, value } of samples) worst = Math.max(worst, Math.abs(values[at[0] * width + at[1]] - value));
  let sum = 0;
  let largest = 0;
  for (const value of values) {
    sum += value;
    largest = Math.max(largest, Math.abs(value));
  }
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const std = Math.sqrt(squares / values.length);
  console.log(
    `${label} on ${x.backend.name}: ${samples.length} samples off by ${worst.toExponential(1)}, bound ${tolerance.toExponential(1)}`,
  );
  expect(worst, `${label}: worst sample`).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(mean - expected.mean), `${label}: mean`).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(std - expected.std), `${label}: spread`).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(largest - expected.max_abs), `${label}: largest`).toBeLessThanOrEqual(tolerance);
}
