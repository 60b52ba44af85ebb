/** Square tiles side by side in one buffer, and the grids they were cut from. Knows nothing of how they were chosen. */
import { assert } from "../util/assert.ts";
import { joinInto } from "../util/join-into.ts";
import type { RgbImage } from "./rgb-image.ts";

/** `count` tiles of `size` × `size` pixels. */
export interface Tiles {
  readonly count: number;
  /** Side S in pixels. */
  readonly size: number;
  /** [count, S, S, 3], RGB bytes. */
  readonly data: Uint8Array;
}

/** Columns and rows of a tile grid (the original's grids are (columns, rows)). */
export interface TileGrid {
  readonly cols: number;
  readonly rows: number;
}

/** Rows and columns of the blocks that one picture's merged map is split into (the original's order: rows first). */
export interface BlockSize {
  readonly rows: number;
  readonly cols: number;
}

/** Tiles of one picture with the grid of its largest scale. */
export interface TiledImage {
  readonly tiles: Tiles;
  readonly grid: TileGrid;
}

/** Zeroed tiles to be filled. */
export function allocateTiles(count: number, size: number): Tiles {
  return { count, size, data: new Uint8Array(count * size * size * 3) };
}

/**
 * Cuts `image` (S·cols × S·rows) into tiles, row by row, and writes them from tile `first` on.
 * Pure copies, no filtering.
 */
export function cutTiles(target: Tiles, first: number, image: RgbImage): void {
  const { size } = target;
  const cols = image.width / size;
  const rows = image.height / size;
  assert(Number.isInteger(cols) && Number.isInteger(rows), `${image.width}×${image.height} cut by ${size}`);
  assert(first >= 0 && first + cols * rows <= target.count, `tiles ${first}…${first + cols * rows} of ${target.count}`);
  const lineBytes = size * 3;
  for (let y = 0; y < image.height; y++) {
    const tileRow = Math.floor(y / size);
    for (let col = 0; col < cols; col++) {
      const tile = first + tileRow * cols + col;
      const source = (y * cols + col) * lineBytes;
      target.data.set(image.data.subarray(source, source + lineBytes), (tile * size + (y % size)) * lineBytes);
    }
  }
}

/** All tiles in order. All parts must have the same size; a single part is returned as it is. */
export function concatTiles(parts: readonly Tiles[], size: number): Tiles {
  if (parts.length === 1) return parts[0];
  const tiles = allocateTiles(
    parts.reduce((sum, part) => sum + part.count, 0),
    size,
  );
  for (const part of parts) assert(part.size === size, `tiles of ${part.size} px among tiles of ${size} px`);
  joinInto(
    tiles.data,
    parts.map(({ data }) => data),
  );
  return tiles;
}
