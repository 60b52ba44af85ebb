/**
 * From decoded media to what the vision tower gets: encoder calls in the order of the original, and what became of each part of the
 * prompt. Knows no files and no prompt text.
 */
import type { MediaInput, TileSource } from "../models/nvila/nvila-model.ts";
import { type FramePlan, type ImageOptions, planFrames, planImages } from "../preprocess/image-plan.ts";
import type { Normalization } from "../preprocess/pixels.ts";
import type { RgbImage } from "../preprocess/rgb-image.ts";
import type { TileGrid, Tiles } from "../preprocess/tiles.ts";
import { tileSource } from "./tile-source.ts";

/** One media part of the prompt, decoded. Sizes are those of the source; pictures may have been shrunk since. */
export type DecodedMedia =
  | { readonly kind: "image"; readonly image: RgbImage; readonly width: number; readonly height: number }
  | {
      readonly kind: "video";
      readonly frames: readonly RgbImage[];
      readonly width: number;
      readonly height: number;
      /** One per frame; null when the source has no clock. */
      readonly frameSeconds: readonly number[] | null;
    };

/** What became of one media part. */
export interface PlannedMedia {
  readonly tiles: number;
  /** Null when it was not tiled. Of a video: the grid of its first frame. */
  readonly grid: TileGrid | null;
}

export interface MediaPlan {
  /** One per kind of media, in order of first appearance, as the original encodes them. */
  readonly calls: readonly MediaInput[];
  /** The bytes behind each call. */
  readonly tiles: readonly (readonly Tiles[])[];
  readonly parts: readonly PlannedMedia[];
  /** Tiles of the only picture when each is a media item of its own, else null. */
  readonly imageTiles: number | null;
  /** Frames of each video when they go to the model as pictures, else null. */
  readonly videoFrames: readonly number[] | null;
}

/** @throws RequestError or UnsupportedError when the checkpoint's options do not allow these media. */
export function planMedia(
  media: readonly DecodedMedia[],
  options: { readonly image: ImageOptions; readonly normalization: Normalization; readonly framesAsImages: boolean },
): MediaPlan {
  const { framesAsImages } = options;
  const isVideo = (item: DecodedMedia): boolean => item.kind === "video" && !framesAsImages;
  const pictures = media.map((item) => (item.kind === "image" ? [item.image] : isVideo(item) ? [] : item.frames));
  const imagePlan = planImages(pictures.flat(), options.image);
  const videoPlans: FramePlan[] = [];
  let picture = 0;
  const parts = media.map((item, i): PlannedMedia => {
    if (item.kind === "video" && !framesAsImages) {
      const plan = planFrames(item.frames, options.image);
      videoPlans.push(plan);
      return { tiles: plan.tiles.count, grid: plan.gridPerFrame[0] ?? null };
    }
    const own = imagePlan.perImage.slice(picture, picture + pictures[i].length);
    picture += own.length;
    return { tiles: own.reduce((sum, { tiles }) => sum + tiles, 0), grid: own[0]?.grid ?? null };
  });
  const kinds = [...new Set(media.map((item) => (isVideo(item) ? "video" : "image")))];
  const tiles = kinds.map((kind) => (kind === "image" ? [imagePlan.tiles] : videoPlans.map((plan) => plan.tiles)));
  const calls = kinds.map((kind, i): MediaInput => {
    const source: TileSource = tileSource(tiles[i], options.normalization);
    return kind === "image"
      ? { kind, tiles: source, blockSizes: imagePlan.blockSizes }
      : { kind, tiles: source, framesPerVideo: videoPlans.map((plan) => plan.tiles.count) };
  });
  return {
    calls,
    tiles,
    parts,
    imageTiles: imagePlan.multipliesPlaceholders ? imagePlan.perImage[0].tiles : null,
    videoFrames: framesAsImages
      ? media.filter((item) => item.kind === "video").map((item) => (item.kind === "video" ? item.frames.length : 0))
      : null,
  };
}
