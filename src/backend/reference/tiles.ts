/**
 * Tiles of a grid, row-major, and the map that they make: tile (ty, tx) lies at rows ty·h … and columns tx·w … of the map.
 * Source: VILA `llava/model/llava_arch.py` merge_chessboard, split_chessboard at b760c34.
 */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[gy·h, gx·w, C] from x[gy·gx, h, w, C]. */
export function stitchTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
  const [, h, w, C] = x.shape;
  const map = f32(out);
  const tiles = f32(x);
  forEachTileRow(gridRows, gridCols, h, w * C, (inTiles, inMap) => {
    for (let c = 0; c < w * C; c++) map[inMap + c] = tiles[inTiles + c];
  });
}

/** out[gy·gx, h, w, C] from x[gy·h, gx·w, C]. */
export function splitTiles(out: Operand, x: Operand, gridRows: number, gridCols: number): void {
  const [, h, w, C] = out.shape;
  const tiles = f32(out);
  const map = f32(x);
  forEachTileRow(gridRows, gridCols, h, w * C, (inTiles, inMap) => {
    for (let c = 0; c < w * C; c++) tiles[inTiles + c] = map[inMap + c];
  });
}

/** Calls `visit` with the place of every row of every tile, in the tiles and in the map. `width` counts floats. */
function forEachTileRow(
  gridRows: number,
  gridCols: number,
  h: number,
  width: number,
  visit: (inTiles: number, inMap: number) => void,
): void {
  for (let ty = 0; ty < gridRows; ty++) {
    for (let tx = 0; tx < gridCols; tx++) {
      for (let row = 0; row < h; row++) {
        visit(((ty * gridCols + tx) * h + row) * width, ((ty * h + row) * gridCols + tx) * width);
      }
    }
  }
}
