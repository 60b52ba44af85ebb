/**
 * `dynamic_s2` tiling (NVILA): every scale but the last as a square of r × r tiles, the last scale as a grid that follows
 * the picture's ratio; small scales first, no thumbnail. After VILA llava/mm_utils.py `dynamic_s2_preprocess` (b760c34).
 */
import { assert } from "../util/assert.ts";
import { resizeBicubic } from "./resize-bicubic.ts";
import type { RgbImage } from "./rgb-image.ts";
import { chooseGrid } from "./tile-grid.ts";
import { allocateTiles, type BlockSize, cutTiles, type TiledImage } from "./tiles.ts";

export interface DynamicS2Options {
  /** Sides of the scales in pixels, ascending, multiples of the first, which is the tile size S: [448, 896, 1344]. */
  readonly scales: readonly number[];
  /** Upper bound for the last scale. KEEPS: below the square of the largest scale's ratio the grid collapses to 1×1. */
  readonly maxTiles: number;
}

export interface DynamicS2Image extends TiledImage {
  /** The grid of the last scale, rows first. */
  readonly blockSize: BlockSize;
}

export function dynamicS2Tiles(image: RgbImage, options: DynamicS2Options): DynamicS2Image {
  const { scales, maxTiles } = options;
  assert(scales.length > 0, "dynamic_s2 needs at least one scale");
  const tileSize = scales[0];
  const ratios = scales.map((scale) => Math.floor(scale / tileSize));
  const squareRatios = ratios.slice(0, -1);
  const minTiles = ratios[ratios.length - 1] ** 2;
  const grid = chooseGrid(image.width, image.height, { minTiles, maxTiles, tileSize });

  const squareTiles = squareRatios.reduce((sum, ratio) => sum + ratio * ratio, 0);
  const tiles = allocateTiles(squareTiles + grid.cols * grid.rows, tileSize);
  let first = 0;
  for (const ratio of squareRatios) {
    cutTiles(tiles, first, resizeBicubic(image, ratio * tileSize, ratio * tileSize));
    first += ratio * ratio;
  }
  cutTiles(tiles, first, resizeBicubic(image, grid.cols * tileSize, grid.rows * tileSize));
  return { tiles, grid, blockSize: { rows: grid.rows, cols: grid.cols } };
}
