/**
 * Which grid of tiles fits a picture: the ratio nearest to the picture's own, larger grids of the same ratio only when
 * the picture has the pixels for them. After VILA llava/mm_utils.py `find_closest_aspect_ratio` (commit b760c34).
 */
import type { TileGrid } from "./tiles.ts";

/** All grids with minTiles ≤ cols · rows ≤ maxTiles, by area. Order among equal areas carries no meaning. */
export function candidateGrids(minTiles: number, maxTiles: number): TileGrid[] {
  const grids: TileGrid[] = [];
  for (let cols = 1; cols <= maxTiles; cols++) {
    const lastRow = Math.floor(maxTiles / cols);
    for (let rows = Math.max(1, Math.ceil(minTiles / cols)); rows <= lastRow; rows++) grids.push({ cols, rows });
  }
  return grids.sort((a, b) => a.cols * a.rows - b.cols * b.rows);
}

/**
 * The grid for a picture of width × height pixels and tiles of side `tileSize`. 1×1 when no grid is allowed.
 * KEEPS: exact float equality of ratio differences decides ties, as in the original.
 */
export function chooseGrid(
  width: number,
  height: number,
  options: { readonly minTiles: number; readonly maxTiles: number; readonly tileSize: number },
): TileGrid {
  const ratio = width / height;
  const area = width * height;
  let best: TileGrid = { cols: 1, rows: 1 };
  let bestDifference = Number.POSITIVE_INFINITY;
  for (const grid of candidateGrids(options.minTiles, options.maxTiles)) {
    const difference = Math.abs(ratio - grid.cols / grid.rows);
    const isBetter = difference < bestDifference;
    const isTie = difference === bestDifference;
    if (isBetter || (isTie && area > 0.5 * options.tileSize * options.tileSize * grid.cols * grid.rows)) best = grid;
    if (isBetter) bestDifference = difference;
  }
  return best;
}
