/**
 * Which pictures of a prompt are tiled and how: the dispatch of VILA llava/model/llava_arch.py `generate_content` and
 * llava/mm_utils.py `process_image(s)` (commit b760c34). Only a prompt with exactly one picture is tiled.
 * Knows no checkpoint and no prompt text: the counts it returns are what the text side needs.
 */
import { RequestError, UnsupportedError } from "../util/errors.ts";
import { dynamicS2Tiles } from "./dynamic-s2-tiles.ts";
import { dynamicTiles } from "./dynamic-tiles.ts";
import type { RgbImage } from "./rgb-image.ts";
import { singleTile } from "./single-tile.ts";
import { type BlockSize, concatTiles, type TileGrid, type Tiles } from "./tiles.ts";

/** Settings of one checkpoint, as plain values. */
export interface ImageOptions {
  /** `image_aspect_ratio`: "dynamic", "dynamic_s2", "resize", "pad"; any other text means a plain resize; null raises. */
  readonly aspectRatio: string | null;
  /** Side S of a tile in pixels; for `dynamic_s2` the first scale. */
  readonly tileSize: number;
  readonly minTiles: number;
  readonly maxTiles: number;
  /** Sides of the scales of `dynamic_s2`, ascending multiples of the first. Unused otherwise. */
  readonly s2Scales: readonly number[];
  /** Mean of the normalisation: the colour that "pad" pads with. */
  readonly imageMean: readonly number[];
  /** `video_max_tiles`: above 1 every frame of a video is tiled. Default 1. */
  readonly videoMaxTiles?: number;
}

/** What one picture of the prompt became. */
export interface PlannedImage {
  /** Number of its tiles; they follow each other in `ImagePlan.tiles`. */
  readonly tiles: number;
  /** Grid of the (largest scale of the) picture; null when it was not tiled. */
  readonly grid: TileGrid | null;
}

/** What the pictures of one prompt became. */
export interface ImagePlan {
  /** Tiles of all pictures in prompt order: one encoder batch. */
  readonly tiles: Tiles;
  /** One entry per picture when its tiles are merged to one map (`dynamic_s2`); null: every tile stands for itself. */
  readonly blockSizes: readonly BlockSize[] | null;
  readonly perImage: readonly PlannedImage[];
  /**
   * True in `dynamic` mode with one picture: every `<image>` of the prompt becomes ("<image>" + "\n") × tiles, and every
   * tile is a media item of its own. False: one `<image>` per picture.
   */
  readonly multipliesPlaceholders: boolean;
}

/** What the frames of one video became. */
export interface FramePlan {
  /** Tiles of all frames in order: one encoder batch. */
  readonly tiles: Tiles;
  /** Always null: frames are never merged over scales. KEEPS: also when `video_max_tiles` tiles them with `dynamic_s2`. */
  readonly blockSizes: null;
  /** Tiles of each frame. The video encoder treats all tiles as consecutive frames. */
  readonly tilesPerFrame: readonly number[];
  /** Grid of (the largest scale of) each frame; null when it was not tiled. */
  readonly gridPerFrame: readonly (TileGrid | null)[];
}

/** Bound of tile counts and tile sides, far above any NVILA configuration; guards the search for grids and memory. */
const MAX_COUNT = 4096;

/**
 * Tiles for all pictures of one prompt. No pictures give no tiles.
 *
 * @throws RequestError when an option or a picture is malformed; UnsupportedError when `aspectRatio` is null.
 */
export function planImages(images: readonly RgbImage[], options: ImageOptions): ImagePlan {
  checkImageOptions(options);
  const { tileSize, aspectRatio, s2Scales } = options;
  if (images.length > 0) expectAspectRatio(aspectRatio);
  const tiled = isTiled(images.length, options) ? aspectRatio : null;
  if (tiled === "dynamic") {
    const { tiles, grid } = dynamicTiles(images[0], options);
    return { tiles, blockSizes: null, perImage: [{ tiles: tiles.count, grid }], multipliesPlaceholders: true };
  }
  if (tiled === "dynamic_s2") {
    const { tiles, grid, blockSize } = dynamicS2Tiles(images[0], { scales: s2Scales, maxTiles: options.maxTiles });
    return { tiles, blockSizes: [blockSize], perImage: [{ tiles: tiles.count, grid }], multipliesPlaceholders: false };
  }
  return {
    tiles: concatTiles(
      images.map((image) => untiled(image, options)),
      tileSize,
    ),
    blockSizes: null,
    perImage: images.map(() => ({ tiles: 1, grid: null })),
    multipliesPlaceholders: false,
  };
}

/**
 * Tiles for the sampled frames of one video: one per frame, or with `videoMaxTiles` > 1 all tiles of every frame.
 *
 * @throws RequestError when an option or a frame is malformed; UnsupportedError when `aspectRatio` is null.
 */
export function planFrames(frames: readonly RgbImage[], options: ImageOptions): FramePlan {
  checkImageOptions(options);
  const { tileSize, aspectRatio, s2Scales, maxTiles, videoMaxTiles = 1 } = options;
  if (frames.length > 0) expectAspectRatio(aspectRatio);
  const tiled = areFramesTiled(options) ? aspectRatio : null;
  const parts = frames.map((frame): { tiles: Tiles; grid: TileGrid | null } => {
    if (tiled === "dynamic") return dynamicTiles(frame, { ...options, maxTiles: videoMaxTiles });
    // KEEPS: `video_max_tiles` only switches the tiling on here; its value is ignored in favour of `max_tiles`.
    if (tiled === "dynamic_s2") return dynamicS2Tiles(frame, { scales: s2Scales, maxTiles });
    return { tiles: untiled(frame, options), grid: null };
  });
  return {
    tiles: concatTiles(
      parts.map(({ tiles }) => tiles),
      tileSize,
    ),
    blockSizes: null,
    tilesPerFrame: parts.map(({ tiles }) => tiles.count),
    gridPerFrame: parts.map(({ grid }) => grid),
  };
}

/** [columns, rows] of each scale of a picture whose last scale has `grid`, from coarse to fine; null: it was not tiled. */
export function scaleGrids(grid: TileGrid | null, { aspectRatio, s2Scales }: ImageOptions): [number, number][] {
  if (grid === null) return [[1, 1]];
  const squares = aspectRatio === "dynamic_s2" ? s2Scales.slice(0, -1) : [];
  const ratios = squares.map((scale) => Math.floor(scale / s2Scales[0]));
  return [...ratios.map((ratio): [number, number] => [ratio, ratio]), [grid.cols, grid.rows]];
}

/** True when a picture among `pictures` is cut into several tiles. */
export function isTiled(pictures: number, options: ImageOptions): boolean {
  return pictures === 1 && (options.aspectRatio === "dynamic" || options.aspectRatio === "dynamic_s2");
}

/** True when every frame of a video is cut into several tiles. */
export function areFramesTiled({ aspectRatio, videoMaxTiles = 1 }: ImageOptions): boolean {
  return videoMaxTiles > 1 && (aspectRatio === "dynamic" || aspectRatio === "dynamic_s2");
}

/**
 * A picture or frame that is not tiled as a picture of the tile's size, from which the plans make the same tile: to hold many large
 * pictures in little memory.
 */
export function shrinkUntiled(image: RgbImage, options: ImageOptions): RgbImage {
  const { size, data } = untiled(image, options);
  return { width: size, height: size, data };
}

function untiled(image: RgbImage, options: ImageOptions): Tiles {
  return singleTile(image, {
    tileSize: options.tileSize,
    fit: options.aspectRatio === "pad" ? "pad" : "resize",
    imageMean: options.imageMean,
  });
}

function expectAspectRatio(aspectRatio: string | null): void {
  if (aspectRatio === null) {
    throw new UnsupportedError(
      "image",
      "expected image_aspect_ratio in config.json, got null: this checkpoint says nothing about pictures",
    );
  }
}

function checkImageOptions(options: ImageOptions): void {
  const { tileSize, minTiles, maxTiles, s2Scales, aspectRatio } = options;
  const videoMaxTiles = Math.max(1, options.videoMaxTiles ?? 1);
  for (const [name, value] of Object.entries({ tileSize, minTiles, maxTiles, videoMaxTiles })) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT) {
      throw new RequestError("image", `expected ${name} to be a whole number in 1..${MAX_COUNT}, got ${value}`);
    }
  }
  if (aspectRatio !== "dynamic_s2") return;
  const isAscending = s2Scales.every((scale, i) => Number.isInteger(scale) && (i === 0 || scale > s2Scales[i - 1]));
  if (s2Scales.length === 0 || !isAscending || s2Scales[0] !== tileSize) {
    throw new RequestError(
      "image",
      `expected s2_scales to be whole pixels, ascending from the tile size ${tileSize}, got [${s2Scales.join(", ")}]`,
    );
  }
}
