/**
 * What the visual tokens of a picture or video are to be like, besides the answers about it: the names of what stands within them, and where in the
 * picture they are. After Jiang et al. 2021, "All tokens matter: token labeling" (arXiv 2104.10858), whose labels come from a teacher; ours
 * from the data (docs/decisions/0015-places.md). Knows no pixels.
 */
import { RequestError } from "../util/errors.ts";
import { IGNORED_LABEL } from "./ignored-label.ts";
import type { NamedPlace } from "./training-sample.ts";

/** How visual tokens lie over a picture: so many tiles, row by row, which make one map; one more row may stand behind it. */
export interface VisualMap {
  readonly tiles: { readonly rows: number; readonly cols: number } | null;
  /** Rows of the picture in the language model. */
  readonly rows: number;
}

/** Ids of names that a visual token holds; those beyond are not learnt. */
const NAMES = 4;

/** Ids that are learnt of each visual token: its names in reading order and their end, then its column and its line. */
export const PLACE_SLOTS = NAMES + 2;

/** Letters of columns and lines, as of a sheet of squares. */
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Rows of a video: those of its frames one after the other. */
export interface VideoMap {
  readonly frames: number;
  readonly rows: number;
  readonly durationSeconds: number;
}

/**
 * Targets of a video's rows, each frame a picture; a place that tells no time is there all along.
 *
 * @returns As `placeTargets`.
 */
export function videoTargets(
  places: readonly NamedPlace[],
  { frames, rows, durationSeconds }: VideoMap,
  encode: (text: string) => readonly number[],
): number[] | null {
  const perFrame = rows / frames;
  if (!Number.isInteger(perFrame)) return null; // frames were pooled
  const targets: number[] = [];
  for (let frame = 0; frame < frames; frame++) {
    const visible = places.filter(
      ([, , , seconds]) => seconds === undefined || Math.floor((seconds / durationSeconds) * frames) === frame,
    );
    const shown = placeTargets(visible, { tiles: null, rows: perFrame }, encode);
    if (shown === null) return null;
    targets.push(...shown);
  }
  return targets;
}

interface Cells {
  readonly columns: number;
  readonly lines: number;
}

/** Null where the rows do not make one map. */
function cellsOf({ tiles, rows }: VisualMap): Cells | null {
  const grid = tiles ?? { rows: 1, cols: 1 };
  const side = Math.floor(Math.sqrt(rows / (grid.rows * grid.cols)));
  const [columns, lines] = [side * grid.cols, side * grid.rows];
  return rows - columns * lines > 1 ? null : { columns, lines };
}

/** Column and line of the cell that a point lies in; null outside the map. */
function cellAt({ columns, lines }: Cells, x: number, y: number): readonly [column: number, line: number] | null {
  const [column, line] = [Math.floor(x * columns), Math.floor(y * lines)];
  return column < 0 || line < 0 || column >= columns || line >= lines ? null : [column, line];
}

const PLACE = /<at (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)>/g;

/**
 * Text with its places (`<at 0.61 0.25>`: shares of width and height) as the letters of column and line of the visual token there: "e/c". So data sets
 * need not know how a model lays its tokens over a picture.
 *
 * @param map Null when the media of the sample make no map.
 * @throws RequestError when there is no map, or a place lies outside it.
 */
export function encodePlaces(text: string, map: VisualMap | null): string {
  return text.replace(PLACE, (mark, x: string, y: string) => {
    const cells = map && cellsOf(map);
    const cell = cells && cellAt(cells, Number(x), Number(y));
    if (!cell || Math.max(...cell) >= LETTERS.length) {
      throw new RequestError("data", `an answer says ${mark}, expected a place within the one picture of its sample`);
    }
    return cell.map((at) => LETTERS[at]).join("/");
  });
}

/**
 * The names of a token end with a tab, those of the last column with a line break: read in order, a picture is a table.
 *
 * @returns Ids of the picture's rows [rows · PLACE_SLOTS], −100 where there is nothing to learn; null when they do not make one map.
 */
export function placeTargets(
  places: readonly NamedPlace[],
  map: VisualMap,
  encode: (text: string) => readonly number[],
): number[] | null {
  const cells = cellsOf(map);
  if (cells === null) return null;
  const { columns, lines } = cells;
  const within = Array.from({ length: columns * lines }, (): { isLower: boolean; x: number; text: string }[] => []);
  for (const [x, y, text] of places) {
    const cell = cellAt(cells, x, y);
    if (cell === null) continue;
    const [column, line] = cell;
    within[line * columns + column].push({ isLower: y * lines - line >= 0.5, x, text });
  }
  const targets = new Array<number>(map.rows * PLACE_SLOTS).fill(IGNORED_LABEL);
  for (const [cell, names] of within.entries()) {
    const [column, line] = [cell % columns, Math.floor(cell / columns)];
    const inOrder = names.sort((a, b) => Number(a.isLower) - Number(b.isLower) || a.x - b.x);
    const ids = inOrder.flatMap(({ text }) => encode(text));
    const slots = [...ids, ...encode(column === columns - 1 ? "\n" : "\t")].slice(0, NAMES);
    for (const [slot, id] of slots.entries()) targets[cell * PLACE_SLOTS + slot] = id;
    for (const [i, at] of [column, line].entries()) {
      if (at < LETTERS.length) targets[cell * PLACE_SLOTS + NAMES + i] = encode(LETTERS[at])[0];
    }
  }
  return targets;
}
