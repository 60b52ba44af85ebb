/** From what the loader prepared to what the model's loss takes: bytes of tiles become pixel values when the tower asks for them. */

import { IGNORED_LABEL } from "../data/ignored-label.ts";
import type { TrainingBatch as LoadedBatch } from "../loader/batch-loader.ts";
import type { MediaInput, TileSource } from "../models/nvila/nvila-model.ts";
import { type Normalization, pixelValues } from "../preprocess/pixels.ts";
import type { Tiles } from "../preprocess/tiles.ts";
import type { TrainingBatch } from "../train/batch-loss.ts";

export function modelBatch(loaded: LoadedBatch, normalization: Normalization): TrainingBatch {
  const { items, tiles } = loaded;
  const calls: MediaInput[] = [];
  const images = items.filter(({ kind }) => kind === "image");
  if (images.length > 0) {
    const blockSizes = images.map(({ blockSize }) => blockSize);
    calls.push({ kind: "image", tiles: sourceOf(tiles.image, normalization), blockSizes });
  }
  const framesPerVideo = items.filter(({ kind }) => kind === "video").map(({ tileCount }) => tileCount);
  if (framesPerVideo.length > 0) {
    calls.push({ kind: "video", tiles: sourceOf(tiles.video, normalization), framesPerVideo });
  }
  return { row: loaded, calls };
}

function sourceOf(tiles: Tiles, normalization: Normalization): TileSource {
  return { count: tiles.count, pixels: (start, end) => pixelValues(tiles, start, end, normalization) };
}

/** The same batch with a label on every row of text: all of it is learnt, media never. Source: VILA data/dataset.py, MMC4 and COYO. */
export function withAllText(loaded: LoadedBatch): LoadedBatch {
  const labels = loaded.inputIds.slice();
  for (const { start, end } of loaded.media) labels.fill(IGNORED_LABEL, start, end);
  for (const start of loaded.cuSeqlens.subarray(0, -1)) labels[start] = IGNORED_LABEL;
  return { ...loaded, labels };
}
