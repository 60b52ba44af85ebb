/** Holds the choice of grids, and the sizes and order of tiles, to the original's functions. */
import { expect, it } from "vitest";
import { dynamicS2Tiles } from "../../src/preprocess/dynamic-s2-tiles.ts";
import { dynamicTiles } from "../../src/preprocess/dynamic-tiles.ts";
import { resizeBicubic } from "../../src/preprocess/resize-bicubic.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { chooseGrid } from "../../src/preprocess/tile-grid.ts";
import type { Tiles } from "../../src/preprocess/tiles.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";

type Grid = readonly [cols: number, rows: number];
type GridRow = readonly [width: number, height: number, ...grids: (Grid | null)[]];
type Call =
  | readonly ["resize", readonly [number, number]]
  | readonly ["crop", readonly [number, number, number, number]];

/** "dynamic min1 max12 S448" or "dynamic_s2 448,896,1344 max12 (…)" → what chooseGrid takes. */
function parseColumn(column: string): { minTiles: number; maxTiles: number; tileSize: number } {
  const maxTiles = Number(/max(\d+)/.exec(column)?.[1]);
  if (column.startsWith("dynamic_s2")) {
    const scales = (/dynamic_s2 ([\d,]+)/.exec(column)?.[1] ?? "").split(",").map(Number);
    return { minTiles: Math.floor(scales[scales.length - 1] / scales[0]) ** 2, maxTiles, tileSize: scales[0] };
  }
  return { minTiles: Number(/min(\d+)/.exec(column)?.[1]), maxTiles, tileSize: Number(/S(\d+)/.exec(column)?.[1]) };
}

describeGolden("tile grids", (dir) => {
  const { columns, rows, count } = readGoldenJson<{ columns: string[]; rows: GridRow[]; count: number }>(
    dir,
    "preprocess/tile_grids.json",
  );

  it("has all rows", () => {
    expect(rows.length).toBe(count);
    expect(columns.length).toBe(15);
  });

  it.each(columns.slice(2).map((column, i) => [column, i + 2] as const))("%s", (column, at) => {
    const options = parseColumn(column);
    const wrong: string[] = [];
    for (const row of rows) {
      const expected = row[at] as Grid | null;
      if (expected === null) continue; // depends on CPython's set order
      const { cols, rows: gridRows } = chooseGrid(row[0], row[1], options);
      if (cols !== expected[0] || gridRows !== expected[1]) {
        wrong.push(`${row[0]}×${row[1]}: expected ${expected}, got ${cols},${gridRows}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** A picture whose bytes depend on the place, so that exchanged tiles show. */
function gradient(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[i++] = (37 * x + 91 * y + 7 * x * y) & 255;
      data[i++] = (x * 255) / width;
      data[i++] = (y * 255) / height;
    }
  }
  return { width, height, data };
}

/** Carries out the recorded calls literally. */
function replay(image: RgbImage, calls: readonly Call[], size: number): Uint8Array[] {
  const tiles: Uint8Array[] = [];
  let resized = image;
  for (const [i, call] of calls.entries()) {
    if (call[0] === "resize") {
      resized = resizeBicubic(image, call[1][0], call[1][1]);
      if (calls[i + 1]?.[0] !== "crop") tiles.push(resized.data); // the thumbnail is not cropped
    } else {
      const [left, top, right, bottom] = call[1];
      expect([right - left, bottom - top]).toEqual([size, size]);
      const tile = new Uint8Array(size * size * 3);
      for (let y = top; y < bottom; y++) {
        const start = (y * resized.width + left) * 3;
        tile.set(resized.data.subarray(start, start + size * 3), (y - top) * size * 3);
      }
      tiles.push(tile);
    }
  }
  return tiles;
}

function expectTiles(tiles: Tiles, expected: readonly Uint8Array[]): void {
  expect(tiles.count).toBe(expected.length);
  const tileBytes = tiles.size * tiles.size * 3;
  const wrong = expected
    .map((tile, i) => [i, Buffer.compare(tile, tiles.data.subarray(i * tileBytes, (i + 1) * tileBytes))] as const)
    .filter(([, order]) => order !== 0);
  expect(wrong).toEqual([]);
}

describeGolden("resize and crop calls", (dir) => {
  const { rows } = readGoldenJson<{
    rows: { size: readonly [number, number]; dynamic_calls: Call[]; dynamic_s2_calls: Call[] }[];
  }>(dir, "preprocess/tile_calls.json");

  it("has all rows", () => {
    expect(rows.length).toBe(4);
  });

  it.each(rows)("$size", ({ size: [width, height], dynamic_calls, dynamic_s2_calls }) => {
    const image = gradient(width, height);
    const dynamic = dynamicTiles(image, { tileSize: 448, minTiles: 1, maxTiles: 12 });
    expectTiles(dynamic.tiles, replay(image, dynamic_calls, 448));
    const s2 = dynamicS2Tiles(image, { scales: [448, 896, 1344], maxTiles: 12 });
    expectTiles(s2.tiles, replay(image, dynamic_s2_calls, 448));
  });
});
