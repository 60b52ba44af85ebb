/**
 * SigLIP's pre-training: pictures and their texts as pairs, each against all others of its micro-batch. The picture is the mean of its patches in the
 * vision tower, over all tiles; the text is the language model's state behind its last token; a head of each brings both to one width.
 * The heads belong to this stage alone: NVILA does not keep them. SigLIP itself pools by attention and reads texts with a tower of their own;
 * here the language model of the pre-stage before does, which goes on to be the one that must understand the tower.
 * Source: Zhai et al. 2023 (arXiv 2303.15343), algorithm 1; initial scale and bias from there too.
 */
import type { MediaInput, NvilaModel } from "../models/nvila/nvila-model.ts";
import { PackedAttention } from "../nn/packed-attention.ts";
import { sigmoidContrastive } from "../tensor/losses.ts";
import * as ops from "../tensor/ops.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Random } from "../util/random.ts";
import { completed, type LearntBatch, type LossOptions, type Objective, type TrainingBatch } from "./batch-loss.ts";
import type { ParameterSet } from "./parameters.ts";

/** ln 10 and −10: at first all pairs look wrong, as nearly all are. */
const FIRST_SCALE = Math.log(10);
const FIRST_BIAS = -10;

type PictureInput = Extract<MediaInput, { kind: "image" }>;

/** A picture of a batch with the text that it belongs to. */
interface Pair {
  /** Its tiles in the batch's pictures. */
  readonly tiles: readonly [from: number, to: number];
  /** What is said about it: the answers. */
  readonly ids: Int32Array;
}

export class ContrastiveObjective implements Objective {
  readonly #image: Tensor;
  readonly #text: Tensor;
  readonly #logitScale: Tensor;
  readonly #logitBias: Tensor;

  /** Makes the heads: parameters of the component "contrastive_head". */
  constructor(model: NvilaModel, parameters: ParameterSet, seed: number) {
    const [C, H] = [model.cfg.vision.hiddenSize, model.cfg.llm.hiddenSize];
    const D = Math.min(C, H);
    const random = new Random(seed);
    const matrix = (name: string, inputs: number): Tensor => {
      const values = Float32Array.from(
        { length: D * inputs },
        () => (2 * random.nextFloat() - 1) * Math.sqrt(3 / inputs),
      );
      return parameters.create("contrastive_head", `${name}.weight`, values, [D, inputs]);
    };
    this.#image = matrix("image", C);
    this.#text = matrix("text", H);
    this.#logitScale = parameters.create("contrastive_head", "logit_scale", Float32Array.of(FIRST_SCALE), [1]);
    this.#logitBias = parameters.create("contrastive_head", "logit_bias", Float32Array.of(FIRST_BIAS), [1]);
  }

  /** Pairs: samples with a picture and an answer. */
  items({ row }: Pick<TrainingBatch, "row">): number {
    return samplesWithPicture(row).length;
  }

  loss(model: NvilaModel, batch: TrainingBatch, { itemWeight }: LossOptions): LearntBatch | null {
    const call = batch.calls.find((input): input is PictureInput => input.kind === "image");
    if (!call) return null;
    const pairs = pairsOf(model, batch, call.blockSizes);
    if (pairs.length === 0) return null;
    const { backend } = model.llm;
    const S = model.cfg.vision.imageSize;
    const pixels = Tensor.from(backend, "f32", call.tiles.pixels(0, call.tiles.count), [call.tiles.count, 3, S, S]);
    const patches = completed(model.vision.forward(pixels)); // [tiles, N, C]
    const image = ops.linear(meansOf(patches, pairs), this.#image, null); // [B, D]
    const text = ops.linear(readTexts(model, pairs), this.#text, null); // [B, D]
    const operands = { image, text, logitScale: this.#logitScale, logitBias: this.#logitBias };
    return { losses: sigmoidContrastive(operands, itemWeight * pairs.length), count: pairs.length };
  }
}

/** Numbers of the samples of a packed row that have a picture and an answer, and the number of their first picture in the row. */
function samplesWithPicture({ media, cuSeqlens, labels }: TrainingBatch["row"]): { sample: number; picture: number }[] {
  const pictures = media.filter(({ kind }) => kind === "image");
  return Array.from({ length: cuSeqlens.length - 1 }, (_, sample) => {
    const [from, to] = [cuSeqlens[sample], cuSeqlens[sample + 1]];
    return {
      sample,
      picture: pictures.findIndex(({ start }) => start >= from && start < to),
      isAnswered: labels.subarray(from, to).some((id) => id >= 0),
    };
  }).filter(({ picture, isAnswered }) => picture >= 0 && isAnswered);
}

function pairsOf(model: NvilaModel, { row }: TrainingBatch, blockSizes: PictureInput["blockSizes"]): Pair[] {
  const pictures = row.media.filter(({ kind }) => kind === "image").length;
  const offsets = [0];
  for (let i = 0; i < pictures; i++) {
    const block = blockSizes?.[i] ?? null;
    offsets.push(offsets[i] + (block && model.s2 ? model.s2.tileCount(block) : 1));
  }
  return samplesWithPicture(row).map(({ sample, picture }) => ({
    tiles: [offsets[picture], offsets[picture + 1]],
    ids: row.labels.subarray(row.cuSeqlens[sample], row.cuSeqlens[sample + 1]).filter((id) => id >= 0),
  }));
}

/** The mean of each picture's patches. [tiles, N, C] → [B, C] */
function meansOf(patches: Tensor, pairs: readonly Pair[]): Tensor {
  const [, N, C] = patches.shape;
  return ops.concatRows(
    pairs.map(({ tiles: [from, to] }) => {
      const rows = patches.rows(from, to).reshape([1, (to - from) * N, C]);
      return ops.areaResize(rows, 1, 1).reshape([1, C]);
    }),
  );
}

/** The language model's state behind the last token of each text. → [B, H] */
function readTexts(model: NvilaModel, pairs: readonly Pair[]): Tensor {
  const cuSeqlens = new Int32Array(pairs.length + 1);
  for (const [i, { ids }] of pairs.entries()) cuSeqlens[i + 1] = cuSeqlens[i] + ids.length;
  const ids = new Int32Array(cuSeqlens[pairs.length]);
  const positions = new Int32Array(ids.length);
  for (const [i, pair] of pairs.entries()) {
    ids.set(pair.ids, cuSeqlens[i]);
    for (let t = 0; t < pair.ids.length; t++) positions[cuSeqlens[i] + t] = t;
  }
  const cache = new PackedAttention(cuSeqlens);
  return completed(
    model.llm.hiddenRows({
      embeds: model.llm.embed(ids),
      positions,
      caches: model.llm.blocks.map(() => cache),
      wantedRows: cuSeqlens.slice(1).map((end) => end - 1),
    }),
  );
}
