/**
 * `npx tsx bench/train-step.ts`: a stage-4 step (everything learns) of a model of about 14 million parameters on packed samples of text and
 * pictures, as a fraction of what the processor's multiply-adds reach in the same seconds; layers kept and recomputed in turns.
 *
 * --threads N   default: what the machine runs at once      --rounds N   steps of each kind, default 3
 * --samples N   of a step, default 8                        --profile    time per operation as well
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { CpuBackend } from "../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../src/backend/cpu/load.ts";
import { presetConfigs } from "../src/checkpoint/preset-configs.ts";
import { llmTensors, projectorTensors, visionTensors } from "../src/checkpoint/preset-tensors.ts";
import type { ModelPreset } from "../src/checkpoint/presets.ts";
import { RecipeTensors } from "../src/checkpoint/random-recipe.ts";
import { fuseSample, packSamples } from "../src/data/packing.ts";
import { parseNvilaConfig } from "../src/models/nvila/config.ts";
import { NvilaModel } from "../src/models/nvila/nvila-model.ts";
import type { TrainingBatch } from "../src/train/batch-loss.ts";
import { Learner } from "../src/train/learner.ts";
import { ParameterSet } from "../src/train/parameters.ts";
import { busyness, describeMachine } from "./machine.ts";

const PRESET: ModelPreset = {
  vision: { hiddenSize: 256, layers: 7, heads: 4, mlp: 1024, patch: 14, imageSize: 224 },
  llm: { hiddenSize: 320, layers: 8, heads: 5, kvHeads: 1, mlp: 864, vocabulary: 4096, tieWordEmbeddings: true },
  projector: "mlp_downsample_2x2_fix",
  tiling: "dynamic",
  scales: 1,
  visionSelectLayer: -2,
  numVideoFrames: 8,
  pooledFrames: null,
  timeTokens: 0,
  modelMaxLength: 4096,
  tokenizer: { firstSpecialId: 3900, hasBosAndPad: false },
};
const IMAGE_ID = 4096;
const TEXT_TOKENS = 96;
const ANSWER_TOKENS = 24;
const TILES = 3;

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: String(availableParallelism()) },
    rounds: { type: "string", default: "3" },
    samples: { type: "string", default: "8" },
    profile: { type: "boolean", default: false },
  },
});
const loaded = loadBinding();
if (!loaded.binding) throw new Error(loaded.reason);
const backend = new CpuBackend(loaded.binding, { threads: Number(values.threads) });
const samples = Number(values.samples);

/** Seconds of processor time of this process: on a busy machine they say more than the clock. */
const processorSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const profile = new Map<string, number>();

/** Counts the processor time of every operation of `target`. */
function count(target: object): void {
  const names = new Set([...Object.keys(target), ...Object.getOwnPropertyNames(Object.getPrototypeOf(target))]);
  for (const name of names) {
    const method = Reflect.get(target, name) as unknown;
    if (typeof method !== "function" || name === "constructor" || name === "peakFma") continue;
    Reflect.set(target, name, (...args: unknown[]) => {
      const start = processorSeconds();
      const result = method.apply(target, args) as unknown;
      profile.set(name, (profile.get(name) ?? 0) + processorSeconds() - start);
      return result;
    });
  }
}
if (values.profile) {
  count(backend);
  count(backend.training);
}

const parts = {
  llm: llmTensors(PRESET.llm),
  vision_tower: visionTensors(PRESET.vision),
  mm_projector: projectorTensors(PRESET),
};
const recipe = { seed: 1, dtype: "f32" } as const;
const sources = {
  llm: new RecipeTensors(parts.llm, recipe),
  vision_tower: new RecipeTensors(parts.vision_tower, recipe),
  mm_projector: new RecipeTensors(parts.mm_projector, recipe),
};
const { model: cfg } = parseNvilaConfig(presetConfigs(PRESET, "f32", {}));

function build(activations: "keep" | "recompute"): Learner {
  const parameters = new ParameterSet(backend, sources);
  const none = new Int32Array(0);
  const model = new NvilaModel(
    {
      llm: parameters.weights("llm"),
      vision: parameters.weights("vision_tower"),
      projector: parameters.weights("mm_projector"),
    },
    cfg,
    {
      count: PRESET.llm.vocabulary,
      media: { image: IMAGE_ID, video: IMAGE_ID + 1 },
      imageEncoder: { start: none, end: Int32Array.of(5) },
      videoEncoder: { start: none, end: none, sep: none },
    },
  );
  const trained = { llm: true, vision_tower: true, mm_projector: true };
  return new Learner(model, parameters, { trained, activations });
}

const tileRows = (PRESET.vision.imageSize / PRESET.vision.patch / 2) ** 2 + 1;
const S = PRESET.vision.imageSize;
const pixels = Float32Array.from({ length: samples * TILES * 3 * S * S }, (_, i) => Math.sin(i * 0.37));
const tileSize = 3 * S * S;

function batch(): TrainingBatch {
  const fused = Array.from({ length: samples }, (_, s) => {
    const text = Array.from({ length: TEXT_TOKENS }, (_, i) => 10 + ((i * 37 + s * 101) % 3800));
    const ids = [...new Array<number>(TILES).fill(IMAGE_ID), ...text];
    const labels = ids.map((id, i) => (i >= ids.length - ANSWER_TOKENS ? id : -100));
    const sample = { ids, labels, mediaRows: new Array<number>(TILES).fill(tileRows) };
    return fuseSample(sample, { imageId: IMAGE_ID, videoId: IMAGE_ID + 1, maxLength: 4096 });
  });
  const tiles = {
    count: samples * TILES,
    pixels: (start: number, end: number) => pixels.subarray(start * tileSize, end * tileSize),
  };
  return { row: packSamples(fused), calls: [{ kind: "image", tiles, blockSizes: null }] };
}

/** Multiply-adds count two. Backward of a product is two products; attention's backward is five for two, one of them again. */
function flopsOfStep(): number {
  const { vision, llm } = PRESET;
  const [C, H] = [vision.hiddenSize, llm.hiddenSize];
  const N = (S / vision.patch) ** 2;
  const visionRows = samples * TILES * N;
  const used = vision.layers - 1;
  const perVisionRow = used * (4 * C * C + 2 * C * vision.mlp);
  const projected = samples * TILES * (N / 4);
  const D = H / llm.heads;
  const length = TILES * tileRows + TEXT_TOKENS;
  const rows = samples * length;
  const perRow = llm.layers * (2 * H * H + 2 * H * llm.kvHeads * D + 3 * H * llm.mlp);
  const products =
    6 * (visionRows * perVisionRow + projected * (4 * C * H + H * H) + rows * perRow) +
    6 * samples * ANSWER_TOKENS * H * llm.vocabulary +
    4 * visionRows * 3 * vision.patch ** 2 * C;
  const visionScores = samples * TILES * N * N * C * used;
  const textScores = (samples * length * length * H * llm.layers) / 2;
  return products + 14 * (visionScores + textScores);
}

const learners = { keep: build("keep"), recompute: build("recompute") };
const size = learners.keep.parameters.all.reduce((sum, { tensor }) => sum + tensor.storage.length, 0);
const items = samples * ANSWER_TOKENS;
const rates = { llm: 1e-4, vision_tower: 1e-4, mm_projector: 1e-4 };
interface Result {
  readonly ms: number[];
  readonly fraction: number[];
  readonly processorFraction: number[];
  savedMiB: number;
  loss: number;
}
const results: Record<string, Result> = {};
const flops = flopsOfStep();
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [name, learner] of Object.entries(learners)) {
    const [peakStart, peakProcessor] = [performance.now(), processorSeconds()];
    const peakFlops = backend.peakFma(5e5);
    const peak = peakFlops / (performance.now() - peakStart);
    const peakOfProcessor = peakFlops / (processorSeconds() - peakProcessor);
    const own = batch();
    const [start, startProcessor] = [performance.now(), processorSeconds()];
    const step = await learner.step([own], items, rates);
    const [ms, seconds] = [performance.now() - start, processorSeconds() - startProcessor];
    if (round === 0) profile.clear();
    if (round === 0 && Number(values.rounds) > 0) continue; // warm-up
    const result = results[name] ?? { ms: [], fraction: [], processorFraction: [], savedMiB: 0, loss: 0 };
    results[name] = result;
    result.ms.push(ms);
    result.fraction.push(flops / ms / peak);
    result.processorFraction.push(flops / seconds / peakOfProcessor);
    result.savedMiB = step.savedBytes / 2 ** 20;
    result.loss = step.loss;
  }
}

const rows = Object.entries(results).map(([name, { ms, fraction, processorFraction, savedMiB, loss }]) => ({
  activations: name,
  "ms per step": Math.round(Math.min(...ms)),
  "samples/s": Number(((1000 * samples) / Math.min(...ms)).toFixed(2)),
  "of FMA peak": Number(Math.max(...fraction).toFixed(3)),
  "of FMA peak, processor time": Number(Math.max(...processorFraction).toFixed(3)),
  "saved MiB": Math.round(savedMiB),
  loss: Number(loss.toFixed(4)),
}));
if (values.profile) {
  const all = [...profile.values()].reduce((sum, seconds) => sum + seconds, 0);
  const sorted = [...profile].sort(([, x], [, y]) => y - x).slice(0, 24);
  console.table(
    sorted.map(([name, seconds]) => ({
      name,
      seconds: Number(seconds.toFixed(2)),
      share: Number((seconds / all).toFixed(3)),
    })),
  );
}
console.log(
  `${(size / 1e6).toFixed(1)} M parameters, ${samples} samples of ${TILES} tiles, ${(flops / 1e9).toFixed(1)} GFLOP a step, ${backend.description}`,
);
console.table(rows);
const machine = describeMachine();
console.log(
  JSON.stringify({
    bench: "train-step",
    machine,
    busy: busyness(machine),
    peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    rows,
  }),
);
