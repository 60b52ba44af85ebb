/**
 * Dynamic-S2: the tiles that one picture was cut into at several scales become blocks whose channels hold every scale. The original
 * stitches each scale to one map, resizes all maps to one size by area, puts their channels side by side (smallest scale first), and
 * cuts the merged map into blocks again. Here each resized map is cut before the channels meet, which gives the same numbers and lets
 * the caller join a few blocks at a time. Knows no vision tower and no projector.
 * Source: NVILA paper §3.1.1; VILA `llava_arch.py` merge_features_for_dynamic_s2, merge_chessboard, split_chessboard at b760c34.
 */
import type { BlockSize } from "../../preprocess/tiles.ts";
import * as ops from "../../tensor/ops.ts";
import { scope } from "../../tensor/scope.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ConfigError } from "../../util/errors.ts";

export class S2Merge {
  /** Side of each scale's grid of tiles, in units of the smallest scale; the last scale's grid is the picture's own. */
  readonly ratios: readonly number[];
  /** The scale whose map size the merged map takes. */
  readonly outputScale: number;

  /** @throws ConfigError when there is no scale `resizeOutputToScaleIdx`; negative counts from the end. */
  constructor(scales: readonly number[], resizeOutputToScaleIdx: number) {
    this.ratios = scales.map((scale) => Math.floor(scale / scales[0]));
    this.outputScale = resizeOutputToScaleIdx < 0 ? scales.length + resizeOutputToScaleIdx : resizeOutputToScaleIdx;
    if (
      scales.length === 0 ||
      !(Number.isInteger(this.outputScale) && this.outputScale >= 0 && this.outputScale < scales.length)
    ) {
      throw new ConfigError(
        "dynamic_s2",
        `s2_resize_output_to_scale_idx must name one of the scales [${scales.join(", ")}], got ${resizeOutputToScaleIdx}`,
      );
    }
  }

  /** Grid of tiles of every scale for a picture whose largest scale has the grid `block`. */
  grids(block: BlockSize): readonly BlockSize[] {
    return [...this.ratios.slice(0, -1).map((r) => ({ rows: r, cols: r })), block];
  }

  /** Tiles of all scales of one picture. */
  tileCount(block: BlockSize): number {
    return this.grids(block).reduce((sum, grid) => sum + grid.rows * grid.cols, 0);
  }

  /** Grid of blocks that the merged map of a picture is cut into. */
  outputGrid(block: BlockSize): BlockSize {
    return this.grids(block)[this.outputScale];
  }

  /**
   * x[T, n·n, C] of every picture, all its tiles, scales in ascending order; all pictures have the grid `block` → for every scale its part
   * [B, n·n, C] of the B = pictures · rows · cols blocks, picture by picture. Pictures of one grid are merged as one that is so many times as tall.
   */
  splitScales(pictures: readonly Tensor[], block: BlockSize): Tensor[] {
    const target = this.outputGrid(block);
    const tall = ({ rows, cols }: BlockSize): BlockSize => ({ rows: pictures.length * rows, cols });
    let start = 0;
    return this.grids(block).map((grid) => {
      const count = grid.rows * grid.cols;
      const parts = pictures.map((x) => x.rows(start, start + count)); // [r·r, n·n, C]
      start += count;
      return resizeGrid(parts.length === 1 ? parts[0] : ops.concatRows(parts), tall(grid), tall(target)); // [B, n·n, C]
    });
  }

  /** Blocks [B, n·n, K·C] of a picture that has one scale only: the channels once per scale. x[B, n·n, C]. */
  repeatScales(x: Tensor): Tensor {
    return ops.concatColumns(this.ratios.map(() => x));
  }
}

/** Tiles of one grid [rows·cols, n·n, C] as tiles of another: stitched, resized by area, cut again. */
function resizeGrid(tiles: Tensor, from: BlockSize, to: BlockSize): Tensor {
  if (from.rows === to.rows && from.cols === to.cols) return tiles; // an average over one value each
  const [, N, C] = tiles.shape;
  const n = Math.round(Math.sqrt(N));
  return scope(() => {
    const map = ops.stitchTiles(tiles.reshape([from.rows * from.cols, n, n, C]), from.rows, from.cols); // [rows·n, cols·n, C]
    const resized = ops.areaResize(map, to.rows * n, to.cols * n); // [rows'·n, cols'·n, C]
    return ops.splitTiles(resized, to.rows, to.cols).reshape([to.rows * to.cols, N, C]); // [B, n·n, C]
  });
}

/** Token grids of a picture's blocks [B, t·t, H] to one sequence, row-major over the whole picture: [B·t·t, H]. */
export function stitchTokens(x: Tensor, grid: BlockSize): Tensor {
  const [B, N, H] = x.shape;
  if (B === 1) return x.reshape([N, H]);
  const t = Math.round(Math.sqrt(N));
  return ops.stitchTiles(x.reshape([B, t, t, H]), grid.rows, grid.cols).reshape([B * N, H]);
}
