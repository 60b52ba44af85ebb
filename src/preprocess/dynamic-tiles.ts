/**
 * `dynamic` tiling (NVILA-Lite): one distorting resize to the chosen grid, cut into tiles, plus a thumbnail of the whole
 * picture as the last tile unless the grid is 1×1. After VILA llava/mm_utils.py `dynamic_preprocess` (commit b760c34).
 */
import { resizeBicubic } from "./resize-bicubic.ts";
import type { RgbImage } from "./rgb-image.ts";
import { chooseGrid } from "./tile-grid.ts";
import { allocateTiles, cutTiles, type TiledImage } from "./tiles.ts";

export interface DynamicOptions {
  /** Side S of a tile in pixels. */
  readonly tileSize: number;
  readonly minTiles: number;
  /** Without the thumbnail. */
  readonly maxTiles: number;
}

export function dynamicTiles(image: RgbImage, options: DynamicOptions): TiledImage {
  const { tileSize } = options;
  const grid = chooseGrid(image.width, image.height, options);
  const gridTiles = grid.cols * grid.rows;
  const tiles = allocateTiles(gridTiles === 1 ? 1 : gridTiles + 1, tileSize);
  cutTiles(tiles, 0, resizeBicubic(image, grid.cols * tileSize, grid.rows * tileSize));
  if (gridTiles !== 1) cutTiles(tiles, gridTiles, resizeBicubic(image, tileSize, tileSize));
  return { tiles, grid };
}
