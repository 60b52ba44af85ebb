/**
 * Cuts samples at the model's length, with the media whose tokens fall away. Source: VILA llava/data/collate.py `DataCollator` at b760c34.
 * DIFFERS: samples are not padded to one length; packing needs no padding (see packing.ts).
 */
import type { BlockSize } from "../preprocess/tiles.ts";
import { RequestError } from "../util/errors.ts";

/** Something that stands behind one media token. `Tile` is whatever represents a tile or a video. */
export interface EncodedSample<Tile> {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** Tiles of all pictures in order; with block sizes several for each picture. */
  readonly imageTiles: readonly Tile[];
  /** Grid of each picture's largest scale when its tiles make one item, else null: a tile is an item. */
  readonly blockSizes: readonly BlockSize[] | null;
  readonly videos: readonly Tile[];
}

export interface CollateOptions {
  readonly maxLength: number;
  readonly imageId: number;
  readonly videoId: number;
  /** Tiles of a picture's smaller scales, when its tiles are merged. Default 0. */
  readonly smallScaleTiles?: number;
}

/**
 * The sample cut to `maxLength` tokens.
 *
 * @throws RequestError when media and their tokens differ in number.
 */
export function truncateSample<Tile>(sample: EncodedSample<Tile>, options: CollateOptions): EncodedSample<Tile> {
  const { maxLength, imageId, videoId, smallScaleTiles = 0 } = options;
  const count = (ids: readonly number[], id: number): number => ids.filter((one) => one === id).length;
  expectSame("image", count(sample.ids, imageId), (sample.blockSizes ?? sample.imageTiles).length);
  expectSame("video", count(sample.ids, videoId), sample.videos.length);
  const ids = sample.ids.slice(0, maxLength);
  const images = count(ids, imageId);
  const blockSizes = sample.blockSizes?.slice(0, images) ?? null;
  const tiles = blockSizes?.reduce((sum, { rows, cols }) => sum + rows * cols + smallScaleTiles, 0) ?? images;
  return {
    ids,
    labels: sample.labels.slice(0, maxLength),
    imageTiles: sample.imageTiles.slice(0, tiles),
    blockSizes,
    videos: sample.videos.slice(0, count(ids, videoId)),
  };
}

function expectSame(kind: string, tokens: number, items: number): void {
  if (tokens !== items) {
    throw new RequestError("data", `expected one ${kind} for each of the ${tokens} ${kind} tokens, got ${items}`);
  }
}
