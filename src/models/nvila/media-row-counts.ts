/**
 * How many rows each media token will take, from tiles and frames alone: known before any arithmetic, so that a prompt that does not fit
 * is refused at once. The sizes follow from nvila-model.ts, s2-merge.ts and media-encoders.ts.
 */
import { pooledRowCount } from "./media-encoders.ts";
import type { MediaInput, NvilaModel } from "./nvila-model.ts";

/**
 * Rows of every picture, tile or video of one encoder call, in its order.
 *
 * @throws RequestError when frames and pool sizes do not fit.
 */
export function mediaRowCounts(model: NvilaModel, call: MediaInput): number[] {
  const perBlock = model.projector.tokensOut(model.tokensPerTile);
  if (call.kind === "image") {
    const { start, end } = model.tokens.imageEncoder;
    const pictures = call.blockSizes ?? new Array<null>(call.tiles.count).fill(null);
    return pictures.map((block) => {
      const grid = (block && model.s2?.outputGrid(block)) ?? { rows: 1, cols: 1 };
      return start.length + grid.rows * grid.cols * perBlock + end.length;
    });
  }
  const { start, end, sep } = model.tokens.videoEncoder;
  const around = start.length + end.length;
  const { kind, poolSizes } = model.cfg.videoEncoder;
  return call.framesPerVideo.map((frames) =>
    kind === "tsp"
      ? pooledRowCount(frames, perBlock, poolSizes, { around, sep: sep.length })
      : frames * (perBlock + around),
  );
}
