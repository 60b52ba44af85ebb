/** Lists of codes: long pages where one of thirty lines has the answer, and short lists, for training alone, that lead there. */
import type { Canvas } from "./canvas.ts";
import { ask, type Desk, fitted } from "./desk.ts";
import { type Drawn, type Exchange, listed, mostQuestions } from "./example.ts";
import { drawText, type TextStyle } from "./font.ts";
import { ORDINALS } from "./words.ts";

/** Wide or tall lists in small letters, in training not always full. */
export function drawLongPage(desk: Desk): Drawn {
  const { dice, split, page, style } = desk;
  const columns = page.width > page.height ? 3 : 1;
  const room = Math.min(rowsOf(page, style) * columns, 30);
  const entries = anyEntries(desk, split === "train" && dice.chance(0.5) ? dice.int(4, room) : room);
  writeEntries(desk, entries, columns);
  return { exchanges: dice.sample(codesOf(entries), mostQuestions(split, 3)), caption: captionOf(entries) };
}

/** A small page with two entries or as many as fit, which are also asked for by their place. */
export function drawList(desk: Desk): Drawn {
  const { dice, page, style } = desk;
  const entries = anyEntries(desk, dice.int(2, rowsOf(page, style)));
  writeEntries(desk, entries, 1);
  const placed = entries.slice(0, ORDINALS.length);
  const lines = placed.map(({ name, text }, i) =>
    ask(`What does the ${ORDINALS[i]} line say?`, `${name} ${text}`, "line"),
  );
  const places = placed.map(({ name }, i) => ask(`On which line is the ${name}?`, ORDINALS[i], "place"));
  return {
    exchanges: [...codesOf(entries), ...dice.sample(lines, 2), ...dice.sample(places, 2)],
    caption: captionOf(entries),
  };
}

interface Entry {
  readonly name: string;
  readonly text: string;
}

/** Lines of a list: their distance in heights of a letter, and the edge around them in pixels. */
const [LIST_STEP, LIST_EDGE] = [2.1, 10];

function rowsOf(page: Canvas, style: TextStyle): number {
  return Math.floor((page.height - 2 * LIST_EDGE) / (style.size * LIST_STEP));
}

function anyEntries({ write }: Desk, count: number): Entry[] {
  return write.things(count).map((name) => ({ name, text: write.code() }));
}

/** Names on the left of each column, codes on the right. */
function writeEntries({ page, style }: Desk, entries: readonly Entry[], columns: number): void {
  const rows = rowsOf(page, style);
  const width = (page.width - 2 * LIST_EDGE) / columns;
  for (const [i, { name, text }] of entries.entries()) {
    const x = LIST_EDGE + Math.floor(i / rows) * width;
    const y = LIST_EDGE + (i % rows) * style.size * LIST_STEP;
    const right = width - (columns > 1 ? 28 : 6);
    const sized = fitted(`${name}  ${text}`, style, right);
    drawText(page, name, { x, y }, sized);
    drawText(page, text, { x: x + right, y }, sized, "right");
  }
}

function codesOf(entries: readonly Entry[]): Exchange[] {
  return entries.map(({ name, text }) => ask(`What is the code of the ${name}?`, text, "list"));
}

function captionOf(entries: readonly Entry[]): string {
  const first = entries.slice(0, 6).map(({ name, text }) => `${name} ${text}`);
  return `A list of ${entries.length} codes that begins with ${listed(first)}.`;
}
