/**
 * Letters to learn reading from, many for what a picture costs: grids with a letter in each visual token of a small square, which a model that
 * starts from nothing can line up with its answer one by one, then lines of words and of random characters, where no knowledge of words helps, and
 * whole pages of small print.
 */
import { type Box, Canvas, type Colour } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Drawn, type Exchange, ONE_WORD_OR_PHRASE, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, type Font, measureText, type Split, type TextStyle } from "./font.ts";
import { COLOUR_NAMES, COLOURS } from "./objects.ts";
import { inkColour, paperTint, weather } from "./paper.ts";
import { fillBox } from "./shapes.ts";
import { ORDINALS, Writer } from "./words.ts";

/** Pixels of a grid's side and letters along it: 28 pixels for each, two patches of nvila-tiny. */
const [GRID_SIDE, GRID_LETTERS] = [224, 8];
const CAPITALS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const DIGITS = [..."0123456789"];
const SMALL = [..."abcdefghijklmnopqrstuvwxyz"];
const MARKS = [..."-./:,$%#&"];

/**
 * Square blocks of one letter each, 1, 4, 16 or 64 of them: where to look is learnt from the large ones. Capitals and digits alone: no vocabulary of
 * pairs joins those, so each is one token of the answer.
 */
export function drawLetters(dice: Dice, split: Split): SynthExample {
  const canvas = new Canvas(GRID_SIDE, GRID_SIDE, paperTint(dice, split));
  const font = anyFont(dice, split);
  const colour = inkColour(dice, split);
  const cell = GRID_SIDE / GRID_LETTERS;
  const blocks = dice.pick([1, 2, 4, 8]);
  const rows = Array.from({ length: blocks }, () => anyOf(dice, [...CAPITALS, ...DIGITS], blocks));
  for (let row = 0; row < GRID_LETTERS; row++) {
    for (let column = 0; column < GRID_LETTERS; column++) {
      const letter = rows[Math.floor((row * blocks) / GRID_LETTERS)][Math.floor((column * blocks) / GRID_LETTERS)];
      const size = dice.float(9, 20);
      const width = measureText(letter, { font, size });
      const at = {
        x: column * cell + dice.float(2, Math.max(2, cell - width - 2)),
        y: row * cell + dice.float(2, cell - size - 2),
      };
      drawText(canvas, letter, at, { font, size, colour });
    }
  }
  const drawn = { exchanges: rowQuestions(rows, "row"), caption: rows.join("") };
  return still(dice, split, weather(canvas, dice), `${blocks * blocks} letters`, drawn);
}

/**
 * Eight rows of characters on a square, evenly spaced: first a grid with holes, then words whose characters stand closer and closer, so that reading
 * goes on from the last character instead of counting.
 */
export function drawWords(dice: Dice, split: Split): SynthExample {
  const canvas = new Canvas(GRID_SIDE, GRID_SIDE, paperTint(dice, split));
  const font = anyFont(dice, split);
  const colour = inkColour(dice, split);
  const write = new Writer(dice, split);
  const cell = GRID_SIDE / GRID_LETTERS;
  const hasHoles = dice.chance(0.4);
  const pitch = hasHoles ? cell : dice.float(cell / 2, cell);
  const size = Math.min(20, pitch * dice.float(0.6, 0.85));
  const most = Math.floor((GRID_SIDE - 4) / pitch);
  const holes = dice.float(0.2, 0.8);
  const rows: string[] = [];
  for (let row = 0; row < GRID_LETTERS; row++) {
    if (!hasHoles && dice.chance(0.2)) continue; // an empty row
    const text = hasHoles
      ? Array.from({ length: most }, () => (dice.chance(holes) ? " " : dice.pick([...CAPITALS, ...DIGITS]))).join("")
      : dice.chance(0.5)
        ? word(dice, write).slice(0, most)
        : `${word(dice, write)} ${word(dice, write)}`.slice(0, most).trimEnd();
    const start = hasHoles ? 0 : dice.float(0, GRID_SIDE - 4 - text.length * pitch);
    for (const [i, char] of [...text].entries()) {
      const width = measureText(char, { font, size });
      const x = 2 + start + i * pitch + Math.max(0, (pitch - width) / 2) * dice.float(0.6, 1.4);
      drawText(canvas, char, { x, y: row * cell + dice.float(2, cell - size * 1.35) }, { font, size, colour });
    }
    if (text.trim() !== "") rows.push(hasHoles ? text.replaceAll(" ", "") : text);
  }
  const drawn = { exchanges: rowQuestions(rows, "row"), caption: rows.join("\n") };
  return still(dice, split, weather(canvas, dice), hasHoles ? "holes" : "words", drawn);
}

/** Up to eight lines of words, prices, dates and random characters. */
export function drawLines(dice: Dice, split: Split): SynthExample {
  const [width, height] = [dice.int(170, 232), dice.int(170, 232)];
  const canvas = new Canvas(width, height, paperTint(dice, split));
  const write = new Writer(dice, split);
  const margin = 8;
  const base = dice.float(9, 20);
  const step = base * dice.float(1.6, 2.4);
  const most = Math.max(1, Math.floor((height - 2 * margin) / step));
  const count = dice.int(1, Math.min(ORDINALS.length, most));
  const colour = inkColour(dice, split);
  let y = margin + dice.float(0, Math.max(0, height - 2 * margin - count * step));
  const lines = Array.from({ length: count }, () => {
    const font = anyFont(dice, split);
    const text = filled(dice, write, { font, size: base }, (width - 2 * margin) * dice.float(0.3, 1));
    const size = base * Math.min(1, (width - 2 * margin) / measureText(text, { font, size: base }));
    const x = margin + dice.float(0, Math.max(0, width - 2 * margin - measureText(text, { font, size })));
    drawText(canvas, text, { x, y }, { font, size, colour });
    y += step;
    return text;
  });
  const drawn: Drawn = { exchanges: rowQuestions(lines, "line"), caption: `A note: ${lines.join("; ")}.` };
  return still(dice, split, weather(canvas, dice), `${count} lines`, drawn);
}

const WHITE: Colour = [255, 255, 255];

/**
 * A page full of small print, as small as on screens, charts and documents: the most characters for what a picture costs. Bands of their own face,
 * size and colours, some light on dark; words with gaps of every width between them, so that they stand anywhere.
 */
export function drawPage(dice: Dice, split: Split): SynthExample {
  const [width, height] = [dice.int(180, 280), dice.int(180, 280)];
  const canvas = new Canvas(width, height, paperTint(dice, split));
  const write = new Writer(dice, split);
  const bands = dice.int(1, 4);
  const lines: string[] = [];
  for (let i = 0; i < bands; i++) {
    const band = { x: 0, y: (height * i) / bands, width, height: height / bands };
    const style = { font: anyFont(dice, split), size: dice.float(7.5, 13), colour: inkColour(dice, split) };
    const isDark = dice.chance(0.35);
    if (isDark) fillBox(canvas, band, dice.chance(0.5) ? style.colour : COLOURS[dice.pick(COLOUR_NAMES)]);
    lines.push(...fillBand(dice, write, canvas, band, isDark ? { ...style, colour: WHITE } : style));
  }
  if (lines.length === 0) return drawPage(dice, split); // every word was wider than the page
  const drawn: Drawn = {
    exchanges: rowQuestions(lines.slice(0, ORDINALS.length), "line"),
    caption: `A page: ${lines.join("; ")}.`,
  };
  return still(dice, split, weather(canvas, dice), `${bands} bands`, drawn);
}

/** Lines of words as long as there is room. @returns What they say. */
function fillBand(dice: Dice, write: Writer, canvas: Canvas, band: Box, style: TextStyle): string[] {
  const lines: string[] = [];
  const step = style.size * dice.float(1.5, 2.4);
  for (let y = band.y + dice.float(2, 6); y + style.size * 1.4 < band.y + band.height; y += step) {
    const words: string[] = [];
    for (let x = dice.float(3, 20); ; ) {
      const text = dice.chance(0.3) ? `${word(dice, write)} ${word(dice, write)}` : word(dice, write);
      const end = x + measureText(text, style);
      if (end > band.width - 3) break;
      drawText(canvas, text, { x, y }, style);
      words.push(text);
      x = end + style.size * dice.float(0.6, dice.chance(0.3) ? 4 : 1.2);
    }
    if (words.length > 0) lines.push(words.join(" "));
  }
  return lines;
}

/** Words until the line is about `width` wide. */
function filled(dice: Dice, write: Writer, style: { font: Font; size: number }, width: number): string {
  let text = word(dice, write);
  for (;;) {
    const longer = `${text} ${word(dice, write)}`;
    if (measureText(longer, style) > width) return text;
    text = longer;
  }
}

function word(dice: Dice, write: Writer): string {
  return dice.pick([
    () => anyOf(dice, CAPITALS, dice.int(1, 6)),
    () => anyOf(dice, SMALL, dice.int(2, 8)),
    () => anyOf(dice, SMALL, dice.int(2, 8)),
    () => anyOf(dice, [...CAPITALS, ...DIGITS, ...SMALL, ...MARKS], dice.int(2, 6)),
    () => anyOf(dice, DIGITS, dice.int(1, 4)),
    () => write.price(dice.pick([999, 9999, 99999])).text,
    () => write.surname(),
    () => write.surname().toLowerCase(),
    () => write.things(1)[0],
    () => write.date(),
  ])();
}

function anyOf(dice: Dice, characters: readonly string[], count: number): string {
  return Array.from({ length: count }, () => dice.pick(characters)).join("");
}

function rowQuestions(rows: readonly string[], unit: "row" | "line"): Exchange[] {
  return rows.map((text, i) => ({
    question: `What does the ${ORDINALS[i]} ${unit} say?${ONE_WORD_OR_PHRASE}`,
    answers: [text],
    metric: "anls",
    kind: unit,
    chance: 0,
  }));
}
