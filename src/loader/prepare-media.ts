/**
 * Decodes the media of one training sample and cuts them into tiles. Runs in a worker thread: decoding and resizing take longer than a
 * small model's step.
 */
import type { MediaData } from "../data/training-sample.ts";
import { decodeImage } from "../io/image-file.ts";
import { readVideo } from "../io/video-file.ts";
import { type ImageOptions, planFrames, planImages } from "../preprocess/image-plan.ts";
import type { BlockSize, Tiles } from "../preprocess/tiles.ts";

export interface MediaOptions {
  readonly image: ImageOptions;
  /** Frames of a video. */
  readonly numFrames: number;
  /** Frames a second, at most `numFrames`. Default 0: spread evenly. */
  readonly fps?: number;
}

/** What one picture or video of a sample became. */
export interface PreparedMedia {
  readonly kind: "image" | "video";
  readonly tiles: Tiles;
  /** Grid of the largest scale when all tiles make one item; null when every tile (of a picture) or the video is an item. */
  readonly blockSize: BlockSize | null;
  /** A picture in `dynamic` mode: every tile has its own placeholder. */
  readonly isTilePerItem: boolean;
  /** Of a video with a clock. */
  readonly durationSeconds: number | null;
}

export interface MediaJob {
  readonly kind: "image" | "video";
  readonly source: MediaData;
}

/**
 * KEEPS: unlike inference, every picture of a sample with several is tiled.
 *
 * @throws RequestError, UnsupportedError when a medium cannot be decoded.
 */
export async function prepareMedia(jobs: readonly MediaJob[], options: MediaOptions): Promise<PreparedMedia[]> {
  const { image, numFrames, fps = 0 } = options;
  const prepared: PreparedMedia[] = [];
  for (const { kind, source } of jobs) {
    if (kind === "image") {
      const plan = planImages([await decodeImage(source)], image);
      prepared.push({
        kind,
        tiles: plan.tiles,
        blockSize: plan.blockSizes?.[0] ?? null,
        isTilePerItem: plan.multipliesPlaceholders,
        durationSeconds: null,
      });
    } else {
      const video = await readVideo(source, { sampling: { numFrames, fps } });
      const { tiles } = planFrames(video.frames, image);
      prepared.push({ kind, tiles, blockSize: null, isTilePerItem: false, durationSeconds: video.durationSeconds });
    }
  }
  return prepared;
}
