/** From what the loader prepared to what the model's loss takes: bytes of tiles become pixel values when the tower asks for them. */
import { tileSource } from "../api/tile-source.ts";
import type { TrainingBatch as LoadedBatch } from "../loader/batch-loader.ts";
import type { MediaInput } from "../models/nvila/nvila-model.ts";
import type { Normalization } from "../preprocess/pixels.ts";
import type { TrainingBatch } from "../train/batch-loss.ts";

export function modelBatch(loaded: LoadedBatch, normalization: Normalization): TrainingBatch {
  const { items, tiles } = loaded;
  const calls: MediaInput[] = [];
  const images = items.filter(({ kind }) => kind === "image");
  if (images.length > 0) {
    const blockSizes = images.map(({ blockSize }) => blockSize);
    calls.push({ kind: "image", tiles: tileSource([tiles.image], normalization), blockSizes });
  }
  const framesPerVideo = items.filter(({ kind }) => kind === "video").map(({ tileCount }) => tileCount);
  if (framesPerVideo.length > 0) {
    calls.push({ kind: "video", tiles: tileSource([tiles.video], normalization), framesPerVideo });
  }
  return { row: loaded, calls };
}
