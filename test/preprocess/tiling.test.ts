/** Properties of grids, tiles and plans that hold for any picture. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dynamicS2Tiles } from "../../src/preprocess/dynamic-s2-tiles.ts";
import { dynamicTiles } from "../../src/preprocess/dynamic-tiles.ts";
import {
  areFramesTiled,
  type ImageOptions,
  isTiled,
  planFrames,
  planImages,
  shrinkUntiled,
} from "../../src/preprocess/image-plan.ts";
import { pixelValues } from "../../src/preprocess/pixels.ts";
import { parsePreprocessorConfig } from "../../src/preprocess/preprocessor-config.ts";
import { resizeBicubic } from "../../src/preprocess/resize-bicubic.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { padToSquare, singleTile } from "../../src/preprocess/single-tile.ts";
import { candidateGrids, chooseGrid } from "../../src/preprocess/tile-grid.ts";
import { allocateTiles, cutTiles } from "../../src/preprocess/tiles.ts";
import { RequestError, UnsupportedError } from "../../src/util/errors.ts";
import { anyImage } from "./arbitrary-image.ts";

const OPTIONS: ImageOptions = {
  aspectRatio: "dynamic",
  tileSize: 8,
  minTiles: 1,
  maxTiles: 12,
  s2Scales: [8, 16, 24],
  imageMean: [0.5, 0.5, 0.5],
};

describe("chooseGrid", () => {
  it("lists every grid within the bounds once, by area", () => {
    expect(candidateGrids(1, 12).length).toBe(35);
    expect(candidateGrids(9, 12).length).toBe(15);
    expect(candidateGrids(9, 8)).toEqual([]);
    const areas = candidateGrids(1, 20).map(({ cols, rows }) => cols * rows);
    expect(areas).toEqual([...areas].sort((a, b) => a - b));
  });

  it("takes a grid within the bounds whose ratio no other grid beats", () => {
    const px = fc.integer({ min: 1, max: 30000 });
    const count = fc.integer({ min: 1, max: 30 });
    fc.assert(
      fc.property(px, px, count, count, (width, height, a, b) => {
        const bounds = { minTiles: Math.min(a, b), maxTiles: Math.max(a, b), tileSize: 448 };
        const { cols, rows } = chooseGrid(width, height, bounds);
        expect(cols * rows).toBeGreaterThanOrEqual(bounds.minTiles);
        expect(cols * rows).toBeLessThanOrEqual(bounds.maxTiles);
        const difference = Math.abs(width / height - cols / rows);
        for (const other of candidateGrids(bounds.minTiles, bounds.maxTiles)) {
          expect(Math.abs(width / height - other.cols / other.rows)).toBeGreaterThanOrEqual(difference);
        }
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it("falls back to 1×1 when no grid is allowed", () => {
    expect(chooseGrid(640, 480, { minTiles: 9, maxTiles: 8, tileSize: 448 })).toEqual({ cols: 1, rows: 1 });
  });
});

describe("tiles", () => {
  it("cover the resized picture exactly", () => {
    const resized = resizeBicubic({ width: 5, height: 4, data: new Uint8Array(60).map((_, i) => i * 4) }, 24, 16);
    const tiles = allocateTiles(6, 8);
    cutTiles(tiles, 0, resized);
    for (let y = 0; y < 16; y++) {
      for (let x = 0; x < 24; x++) {
        const tile = Math.floor(y / 8) * 3 + Math.floor(x / 8);
        const at = ((tile * 8 + (y % 8)) * 8 + (x % 8)) * 3;
        expect(tiles.data[at]).toBe(resized.data[(y * 24 + x) * 3]);
      }
    }
  });

  it("end with a thumbnail of the whole picture unless there is one tile", () => {
    fc.assert(
      fc.property(anyImage(), (image) => {
        const { tiles, grid } = dynamicTiles(image, OPTIONS);
        const gridTiles = grid.cols * grid.rows;
        expect(tiles.count).toBe(gridTiles === 1 ? 1 : gridTiles + 1);
        const last = tiles.data.subarray((tiles.count - 1) * 8 * 8 * 3);
        expect(Buffer.compare(last, resizeBicubic(image, 8, 8).data)).toBe(0);
      }),
      { numRuns: 60, seed: 8 },
    );
  });

  it("of dynamic_s2 start with the whole picture and count 1 + 4 + grid", () => {
    fc.assert(
      fc.property(anyImage(), (image) => {
        const { tiles, grid, blockSize } = dynamicS2Tiles(image, { scales: [8, 16, 24], maxTiles: 12 });
        expect(tiles.count).toBe(5 + grid.cols * grid.rows);
        expect(blockSize).toEqual({ rows: grid.rows, cols: grid.cols });
        expect(Buffer.compare(tiles.data.subarray(0, 192), resizeBicubic(image, 8, 8).data)).toBe(0);
      }),
      { numRuns: 60, seed: 9 },
    );
  });
});

describe("singleTile", () => {
  it("pads the short side on both ends, the odd pixel at the end", () => {
    const square = padToSquare({ width: 1, height: 4, data: new Uint8Array(12).fill(9) }, [0.5, 0.25, 1]);
    const row = [127, 63, 255, 9, 9, 9, 127, 63, 255, 127, 63, 255];
    expect([...square.data]).toEqual([...row, ...row, ...row, ...row]);
  });

  it("equals a plain resize for squares", () => {
    const image: RgbImage = { width: 3, height: 3, data: new Uint8Array(27).map((_, i) => i * 9) };
    const pad = singleTile(image, { tileSize: 8, fit: "pad", imageMean: [0.5, 0.5, 0.5] });
    const resize = singleTile(image, { tileSize: 8, fit: "resize", imageMean: [0.5, 0.5, 0.5] });
    expect(pad).toEqual(resize);
  });
});

describe("planImages", () => {
  const image: RgbImage = { width: 40, height: 30, data: new Uint8Array(3600) };

  it("tiles a prompt with one picture only", () => {
    const one = planImages([image], OPTIONS);
    expect(one.perImage).toEqual([{ tiles: 13, grid: { cols: 4, rows: 3 } }]);
    expect([one.tiles.count, one.blockSizes, one.multipliesPlaceholders]).toEqual([13, null, true]);
    const two = planImages([image, image], OPTIONS);
    expect(two.perImage).toEqual([
      { tiles: 1, grid: null },
      { tiles: 1, grid: null },
    ]);
    expect([two.tiles.count, two.blockSizes, two.multipliesPlaceholders]).toEqual([2, null, false]);
  });

  it("hands on block sizes, rows first, for dynamic_s2", () => {
    const plan = planImages([image], { ...OPTIONS, aspectRatio: "dynamic_s2" });
    expect(plan.blockSizes).toEqual([{ rows: 3, cols: 4 }]);
    expect(plan.multipliesPlaceholders).toBe(false);
    expect(planImages([image, image], { ...OPTIONS, aspectRatio: "dynamic_s2" }).blockSizes).toBeNull();
  });

  it("takes an unknown mode for a plain resize and refuses null", () => {
    const unknown = planImages([image], { ...OPTIONS, aspectRatio: "anyres" });
    expect(unknown.tiles).toEqual(planImages([image], { ...OPTIONS, aspectRatio: "resize" }).tiles);
    expect(() => planImages([image], { ...OPTIONS, aspectRatio: null })).toThrow(UnsupportedError);
    expect(planImages([], { ...OPTIONS, aspectRatio: null }).tiles.count).toBe(0);
  });

  it("refuses options that make no sense", () => {
    for (const wrong of [
      { maxTiles: 0 },
      { maxTiles: 1e9 },
      { minTiles: 1.5 },
      { tileSize: Number.NaN },
      { aspectRatio: "dynamic_s2", s2Scales: [] },
      { aspectRatio: "dynamic_s2", s2Scales: [16, 8] },
      { aspectRatio: "dynamic_s2", s2Scales: [16, 32] },
    ]) {
      expect(() => planImages([image], { ...OPTIONS, ...wrong }), JSON.stringify(wrong)).toThrow(RequestError);
    }
  });
});

describe("planFrames", () => {
  const frame: RgbImage = { width: 40, height: 30, data: new Uint8Array(3600) };

  it("gives one tile per frame, also for one frame", () => {
    expect(planFrames([frame], OPTIONS).tilesPerFrame).toEqual([1]);
    expect(planFrames([frame, frame], { ...OPTIONS, aspectRatio: "dynamic_s2" }).tiles.count).toBe(2);
    expect(planFrames([], OPTIONS).tiles.count).toBe(0);
  });

  it("tiles every frame above one video tile", () => {
    expect(planFrames([frame, frame], { ...OPTIONS, videoMaxTiles: 6 }).tilesPerFrame).toEqual([7, 7]);
    const s2 = planFrames([frame], { ...OPTIONS, aspectRatio: "dynamic_s2", videoMaxTiles: 2 });
    expect([s2.tilesPerFrame, s2.blockSizes]).toEqual([[17], null]);
    expect(planFrames([frame], { ...OPTIONS, aspectRatio: "pad", videoMaxTiles: 6 }).tilesPerFrame).toEqual([1]);
    expect(planFrames([frame], { ...OPTIONS, videoMaxTiles: -1 }).tilesPerFrame).toEqual([1]);
  });
});

describe("shrinkUntiled", () => {
  it("changes no tile of pictures and frames that are not tiled", () => {
    const modes = fc.constantFrom("dynamic", "dynamic_s2", "resize", "pad");
    fc.assert(
      fc.property(fc.array(anyImage(), { minLength: 2, maxLength: 3 }), modes, (images, aspectRatio) => {
        const options = { ...OPTIONS, aspectRatio };
        expect([isTiled(images.length, options), areFramesTiled(options)]).toEqual([false, false]);
        const small = images.map((image) => shrinkUntiled(image, options));
        expect(planImages(small, options)).toEqual(planImages(images, options));
        expect(planFrames(small, options)).toEqual(planFrames(images, options));
      }),
      { numRuns: 50, seed: 61 },
    );
  });

  it("is told apart from pictures and frames that are tiled", () => {
    for (const aspectRatio of ["dynamic", "dynamic_s2", "resize", "pad", null]) {
      const options = { ...OPTIONS, aspectRatio };
      const isDynamic = aspectRatio?.startsWith("dynamic") ?? false;
      expect(isTiled(1, options)).toBe(isDynamic);
      expect(areFramesTiled({ ...options, videoMaxTiles: 2 })).toBe(isDynamic);
    }
  });
});

describe("pixelValues", () => {
  it("of slices put together are those of the whole", () => {
    const tiles = allocateTiles(5, 4);
    tiles.data.forEach((_, i) => {
      tiles.data[i] = i * 7;
    });
    const normalization = parsePreprocessorConfig({ size: 4, image_mean: [0.4, 0.5, 0.6], image_std: [0.2, 0.3, 0.4] });
    const whole = pixelValues(tiles, 0, 5, normalization);
    const parts = [pixelValues(tiles, 0, 2, normalization), pixelValues(tiles, 2, 5, normalization)];
    expect([...parts[0], ...parts[1]]).toEqual([...whole]);
    expect(whole.length).toBe(5 * 3 * 4 * 4);
  });
});
