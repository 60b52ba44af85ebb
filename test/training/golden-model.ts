/** The tiny NVILA models of the training goldens: built on trainable parameters, with their batches as packed rows. */
import { join } from "node:path";
import type { Backend } from "../../src/backend/backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { fuseSample, packSamples } from "../../src/data/packing.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { type MediaInput, NvilaModel, type TileSource } from "../../src/models/nvila/nvila-model.ts";
import type { BlockSize } from "../../src/preprocess/tiles.ts";
import type { TrainingBatch } from "../../src/train/batch-loss.ts";
import { ParameterSet } from "../../src/train/parameters.ts";
import { readGoldenJson } from "../golden/golden-dir.ts";
import { integersOf, shapeOf, valuesOf } from "./golden-op.ts";

export interface GoldenModel {
  readonly model: NvilaModel;
  readonly parameters: ParameterSet;
  readonly imageId: number;
  readonly videoId: number;
  readonly padId: number;
}

interface Fixture {
  readonly newlineId: number;
  readonly padId: number;
  readonly imageTokenId: number;
  readonly videoTokenId: number;
}

/** @param place "model", "model/lite" or "model/video". */
export async function goldenModel(dir: string, backend: Backend, place: string): Promise<GoldenModel> {
  const folder = `training/${place}/checkpoint`;
  const files = await openCheckpoint(join(dir, folder));
  const { model: cfg } = parseNvilaConfig(files.configs);
  const { fixture } = readGoldenJson<{ fixture: Fixture }>(dir, `${folder}/config.json`);
  const { llm, vision, projector } = files.weights;
  const parameters = new ParameterSet(backend, { llm, vision_tower: vision, mm_projector: projector });
  const end = Int32Array.of(fixture.newlineId);
  const none = new Int32Array(0);
  const [rows] = llm.info("model.embed_tokens.weight")?.shape ?? [0];
  const model = new NvilaModel(
    {
      llm: parameters.weights("llm"),
      vision: parameters.weights("vision_tower"),
      projector: parameters.weights("mm_projector"),
    },
    cfg,
    {
      count: rows,
      media: { image: fixture.imageTokenId, video: fixture.videoTokenId },
      imageEncoder: { start: none, end },
      videoEncoder: { start: none, end, sep: none },
    },
  );
  const { imageTokenId: imageId, videoTokenId: videoId, padId } = fixture;
  return { model, parameters, imageId, videoId, padId };
}

/** One sample of a golden batch. */
export interface GoldenSample {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** Of each picture: the grid of its largest scale, or null. */
  readonly blockSizes: readonly (BlockSize | null)[];
  /** [tiles, 3, S, S] of the sample's pictures. */
  readonly tiles: Float32Array;
  /** [frames, 3, S, S] of each video. */
  readonly videos: readonly Float32Array[];
}

/** Samples of a batch file: ids and labels without padding, tiles dealt out by the media tokens. */
export function goldenSamples(
  source: TensorSource,
  golden: GoldenModel,
  layout: { blockSizes: readonly (readonly [number, number] | null)[]; tilesPerImage: readonly number[] },
): GoldenSample[] {
  const [B, N] = shapeOf(source, "input_ids");
  const ids = integersOf(source, "input_ids");
  const labels = integersOf(source, "labels");
  const mask = source.data("attention_mask") as Int32Array;
  const pixels = source.info("images") ? valuesOf(source, "images") : new Float32Array(0);
  const tileSize = source.info("images")
    ? shapeOf(source, "images")
        .slice(1)
        .reduce((a, b) => a * b, 1)
    : 1;
  let [image, tile, video] = [0, 0, 0];
  return Array.from({ length: B }, (_, b) => {
    const length = mask.subarray(b * N, (b + 1) * N).reduce((sum, bit) => sum + bit, 0);
    const own = [...ids.subarray(b * N, b * N + length)];
    const blockSizes: (BlockSize | null)[] = [];
    const videos: Float32Array[] = [];
    const firstTile = tile;
    for (const id of own) {
      if (id === golden.imageId) {
        const size = layout.blockSizes[image];
        blockSizes.push(size ? { rows: size[0], cols: size[1] } : null);
        tile += layout.tilesPerImage[image++];
      } else if (id === golden.videoId) videos.push(valuesOf(source, `video.${video++}`));
    }
    const tiles = pixels.subarray(firstTile * tileSize, tile * tileSize);
    return { ids: own, labels: [...labels.subarray(b * N, b * N + length)], blockSizes, tiles, videos };
  });
}

/** Samples as one micro-batch. */
export function packedBatch({ model, imageId, videoId }: GoldenModel, samples: readonly GoldenSample[]): TrainingBatch {
  const tileSize = 3 * model.cfg.vision.imageSize ** 2;
  const perTile = model.projector.tokensOut(model.tokensPerTile);
  const calls: MediaInput[] = [];
  const blockSizes = samples.flatMap((sample) => sample.blockSizes);
  if (blockSizes.length > 0) {
    const tiles = tileSource(
      samples.map((sample) => sample.tiles),
      tileSize,
    );
    calls.push({ kind: "image", tiles, blockSizes });
  }
  const videos = samples.flatMap((sample) => sample.videos);
  if (videos.length > 0) {
    const framesPerVideo = videos.map((video) => video.length / tileSize);
    calls.push({ kind: "video", tiles: tileSource(videos, tileSize), framesPerVideo });
  }
  const window = model.cfg.videoEncoder.poolSizes;
  const fused = samples.map((sample) => {
    let [image, video] = [0, 0];
    const mediaRows: number[] = [];
    for (const id of sample.ids) {
      if (id === imageId) {
        const block = sample.blockSizes[image++];
        mediaRows.push((block ? block.rows * block.cols : 1) * perTile + 1);
      } else if (id === videoId) {
        const frames = sample.videos[video++].length / tileSize;
        mediaRows.push(window.reduce((sum, [t, h, w]) => sum + (frames / t) * (perTile / (h * w) + 1), 0));
      }
    }
    return fuseSample({ ...sample, mediaRows }, { imageId, videoId, maxLength: Number.POSITIVE_INFINITY });
  });
  return { row: packSamples(fused), calls };
}

function tileSource(parts: readonly Float32Array[], tileSize: number): TileSource {
  const pixels = Float32Array.from(parts.flatMap((part) => [...part]));
  return {
    count: pixels.length / tileSize,
    pixels: (start, end) => pixels.slice(start * tileSize, end * tileSize),
  };
}

/** Labels of a batch that are counted before packing: those behind the first of every sample. */
export function countItems(samples: readonly GoldenSample[]): number {
  return samples.reduce((sum, { labels }) => sum + labels.slice(1).filter((label) => label !== -100).length, 0);
}
