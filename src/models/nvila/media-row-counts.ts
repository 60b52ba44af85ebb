/**
 * How many rows each media token will take, from tiles and frames alone: known before any arithmetic, so that a prompt that does not fit
 * is refused at once. The sizes follow from nvila-model.ts, s2-merge.ts and media-encoders.ts.
 */
import { pooledRowCount } from "./media-encoders.ts";
import type { ModelFacts } from "./model-facts.ts";
import type { MediaInput, NvilaModel } from "./nvila-model.ts";

/** What of a model decides how many rows media become. */
export interface RowSizes extends Pick<NvilaModel, "tokens" | "s2">, Pick<ModelFacts, "tokensPerBlock"> {
  readonly videoEncoder: NvilaModel["cfg"]["videoEncoder"];
}

/**
 * Rows of every picture, tile or video of one encoder call, in its order.
 *
 * @throws RequestError when frames and pool sizes do not fit.
 */
export function mediaRowCounts(sizes: RowSizes, call: MediaInput): number[] {
  const { s2, tokens, tokensPerBlock: perBlock } = sizes;
  if (call.kind === "image") {
    const { start, end } = tokens.imageEncoder;
    const pictures = call.blockSizes ?? new Array<null>(call.tiles.count).fill(null);
    return pictures.map((block) => {
      const grid = (block && s2?.outputGrid(block)) ?? { rows: 1, cols: 1 };
      return start.length + grid.rows * grid.cols * perBlock + end.length;
    });
  }
  const { start, end, sep } = tokens.videoEncoder;
  const around = start.length + end.length;
  const { kind, poolSizes } = sizes.videoEncoder;
  return call.framesPerVideo.map((frames) =>
    kind === "tsp"
      ? pooledRowCount(frames, perBlock, poolSizes, { around, sep: sep.length })
      : frames * (perBlock + around),
  );
}
