/**
 * What the visual tokens of a picture are to be like, besides the answers about it: the name of what stands nearest to their middle.
 * After Jiang et al. 2021, "All tokens matter: token labeling" (arXiv 2104.10858), whose labels come from a teacher; ours from the data
 * (docs/decisions/0015-places.md). Knows no pixels.
 */
import { IGNORED_LABEL } from "./ignored-label.ts";
import type { NamedPlace } from "./training-sample.ts";

/** How visual tokens lie over a picture: so many tiles, row by row, which make one map; one more row may stand behind it. */
export interface VisualMap {
  readonly tiles: { readonly rows: number; readonly cols: number } | null;
  /** Rows of the picture in the language model. */
  readonly rows: number;
}

/**
 * @param encode Id of a name's first token.
 * @returns Targets of the picture's rows, −100 where nothing stands; null when they do not make one map.
 */
export function placeTargets(
  places: readonly NamedPlace[],
  { tiles, rows }: VisualMap,
  encode: (text: string) => number,
): number[] | null {
  const grid = tiles ?? { rows: 1, cols: 1 };
  const side = Math.floor(Math.sqrt(rows / (grid.rows * grid.cols)));
  const [columns, lines] = [side * grid.cols, side * grid.rows];
  if (rows - columns * lines > 1) return null;
  const targets = new Array<number>(rows).fill(IGNORED_LABEL);
  const nearest = new Float64Array(rows).fill(Number.POSITIVE_INFINITY);
  for (const [x, y, text] of places) {
    const [column, line] = [Math.floor(x * columns), Math.floor(y * lines)];
    if (column < 0 || line < 0 || column >= columns || line >= lines) continue;
    const cell = line * columns + column;
    const distance = (x * columns - column - 0.5) ** 2 + (y * lines - line - 0.5) ** 2;
    if (distance >= nearest[cell]) continue;
    nearest[cell] = distance;
    targets[cell] = encode(text);
  }
  return targets;
}
