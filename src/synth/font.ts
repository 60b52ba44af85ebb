/**
 * Fonts: ways to draw the one set of glyphs. Weight, width, slant, contrast of strokes, serifs, rounding and a bitmap look make many faces;
 * those of the validation and test splits are never seen in training.
 */
import type { Canvas, Colour, Point } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { CAP_HEIGHT, type Glyph, glyphOf } from "./glyphs.ts";
import { fillBox, StrokeMask } from "./shapes.ts";

export interface Font {
  readonly name: string;
  /** Thickness of strokes in units of the grid; a capital is 12 high. */
  readonly weight: number;
  /** Factor on widths. */
  readonly stretch: number;
  /** Shift to the right per unit of height. */
  readonly slant: number;
  /** Times that bends are rounded: 0 is angular. */
  readonly rounding: number;
  /** How much thicker upright strokes are than level ones, 0 … 1. */
  readonly contrast: number;
  readonly hasSerifs: boolean;
  /** All characters are equally wide. */
  readonly isMono: boolean;
  /** Pixels of a coarse grid instead of strokes. */
  readonly isBitmap: boolean;
}

const PLAIN: Font = {
  name: "plain",
  weight: 1.5,
  stretch: 1,
  slant: 0,
  rounding: 2,
  contrast: 0,
  hasSerifs: false,
  isMono: false,
  isBitmap: false,
};

export type Split = "train" | "validation" | "test";

const FONTS: Readonly<Record<Split, readonly Font[]>> = {
  train: [
    PLAIN,
    { ...PLAIN, name: "bold", weight: 2.4 },
    { ...PLAIN, name: "light", weight: 1 },
    { ...PLAIN, name: "italic", slant: 0.22 },
    { ...PLAIN, name: "narrow", stretch: 0.78 },
    { ...PLAIN, name: "wide", stretch: 1.25, weight: 1.7 },
    { ...PLAIN, name: "angular", rounding: 0, weight: 1.7 },
    { ...PLAIN, name: "serif", hasSerifs: true, contrast: 0.5, weight: 1.4 },
    { ...PLAIN, name: "typewriter", hasSerifs: true, isMono: true, weight: 1.3 },
    { ...PLAIN, name: "bitmap", isBitmap: true },
    { ...PLAIN, name: "bold italic", slant: 0.2, weight: 2.2 },
    { ...PLAIN, name: "mono", isMono: true },
  ],
  validation: [
    { ...PLAIN, name: "book", weight: 1.7, contrast: 0.35, stretch: 1.08 },
    { ...PLAIN, name: "angular narrow", rounding: 0, stretch: 0.85, weight: 1.4 },
    { ...PLAIN, name: "serif bold", hasSerifs: true, contrast: 0.4, weight: 2.1 },
  ],
  test: [
    { ...PLAIN, name: "display", weight: 1.9, contrast: 0.6, stretch: 0.92 },
    { ...PLAIN, name: "oblique serif", hasSerifs: true, slant: 0.14, weight: 1.5, contrast: 0.25 },
    { ...PLAIN, name: "angular wide", rounding: 0, stretch: 1.15, weight: 1.3 },
    { ...PLAIN, name: "medium", weight: 2, rounding: 1, stretch: 0.95 },
  ],
};

/** The faces of a split; no face is in two splits. */
export function fontsOf(split: Split): readonly Font[] {
  return FONTS[split];
}

/** A face for a picture: one of the split's; in every other training picture one that is made up for it. */
export function anyFont(dice: Dice, split: Split): Font {
  return split === "train" && dice.chance(0.5) ? madeUpFont(dice) : dice.pick(FONTS[split]);
}

function madeUpFont(dice: Dice): Font {
  for (;;) {
    const font: Font = {
      ...PLAIN,
      name: "made up",
      weight: dice.float(0.9, 2.6),
      stretch: dice.float(0.75, 1.3),
      slant: dice.chance(0.3) ? dice.float(0.05, 0.25) : 0,
      rounding: dice.int(0, 2),
      contrast: dice.chance(0.4) ? dice.float(0.1, 0.7) : 0,
      hasSerifs: dice.chance(0.25),
      isMono: dice.chance(0.12),
    };
    if (![...FONTS.validation, ...FONTS.test].some((held) => isNear(font, held))) return font;
  }
}

/** Whether two faces can hardly be told apart. */
function isNear(a: Font, b: Font): boolean {
  const isAlike = a.hasSerifs === b.hasSerifs && a.isMono === b.isMono && a.rounding === b.rounding;
  const near = (key: "weight" | "stretch" | "slant" | "contrast", least: number): boolean =>
    Math.abs(a[key] - b[key]) < least;
  return isAlike && near("weight", 0.2) && near("stretch", 0.06) && near("slant", 0.05) && near("contrast", 0.15);
}

export interface TextStyle {
  readonly font: Font;
  /** Height of capitals in pixels. */
  readonly size: number;
  readonly colour: Colour;
}

/** Width of a line of text in pixels. */
export function measureText(text: string, { font, size }: Pick<TextStyle, "font" | "size">): number {
  const units = [...text].reduce((sum, char) => sum + advance(char, font), 0);
  return Math.max(0, units - spacing(font)) * (size / CAP_HEIGHT);
}

/**
 * Draws a line of text.
 *
 * @param at Left end; y is the top of capitals. With `align` the middle or the right end.
 * @returns Its width in pixels.
 */
export function drawText(
  canvas: Canvas,
  text: string,
  at: Point,
  style: TextStyle,
  align: "left" | "middle" | "right" = "left",
): number {
  const { font, size, colour } = style;
  const width = measureText(text, style);
  const scale = size / CAP_HEIGHT;
  let x = at.x - (align === "left" ? 0 : align === "right" ? width : width / 2);
  const mask = new StrokeMask(canvas);
  for (const char of text) {
    const glyph = glyphOf(char);
    const middle = x + ((advance(char, font) - spacing(font)) / 2) * scale;
    canvas.places.push({ x: middle, y: at.y + size * 0.55, text: char });
    const inset = font.isMono ? ((MONO_WIDTH - glyph.width) / 2) * font.stretch * scale : 0;
    if (font.isBitmap) drawBitmap(canvas, glyph, { x: x + inset, y: at.y }, size, font, colour);
    else {
      for (const stroke of strokesOf(glyph, font)) {
        const points = stroke.map((p) => ({ x: x + inset + p.x * scale, y: at.y + p.y * scale }));
        mask.addPath(points, (dx, dy) => radius(font, dx, dy) * scale);
      }
    }
    x += advance(char, font) * scale;
  }
  mask.paint(colour);
  return width;
}

const MONO_WIDTH = 8;

function spacing(font: Font): number {
  return 1.6 + font.weight + (font.hasSerifs ? 0.8 : 0);
}

function advance(char: string, font: Font): number {
  return (font.isMono ? MONO_WIDTH : glyphOf(char).width) * font.stretch + spacing(font);
}

/** Upright strokes are thicker where the font has contrast. */
function radius(font: Font, dx: number, dy: number): number {
  const length = Math.sqrt(dx * dx + dy * dy);
  const upright = length === 0 ? 1 : Math.abs(dy) / length;
  return (font.weight / 2) * (1 + font.contrast * (upright - 0.5));
}

const shaped = new Map<string, WeakMap<Glyph, readonly (readonly Point[])[]>>();

/** The glyph's strokes as the font bends them, in units. */
function strokesOf(glyph: Glyph, font: Font): readonly (readonly Point[])[] {
  const cache = shaped.get(font.name) ?? new WeakMap<Glyph, readonly (readonly Point[])[]>();
  shaped.set(font.name, cache);
  const known = cache.get(glyph);
  if (known) return known;
  const strokes: (readonly Point[])[] = [];
  for (const stroke of glyph.strokes) {
    let points: readonly Point[] = stroke;
    for (let i = 0; i < font.rounding; i++) points = rounded(points);
    strokes.push(points);
    if (font.hasSerifs && glyph.isWord) strokes.push(...serifs(stroke));
  }
  const bent = strokes.map((points) =>
    points.map(({ x, y }) => ({ x: x * font.stretch + (CAP_HEIGHT - y) * font.slant, y })),
  );
  cache.set(glyph, bent);
  return bent;
}

/** Cuts the bends that are no corners: Chaikin's rule for turns of at most about 60 degrees. */
function rounded(points: readonly Point[]): Point[] {
  const isClosed =
    points.length > 2 && points[0].x === points[points.length - 1].x && points[0].y === points[points.length - 1].y;
  const ring = isClosed ? points.slice(0, -1) : points;
  const out: Point[] = [];
  for (let i = 0; i < ring.length; i++) {
    const before = ring[(i + ring.length - 1) % ring.length];
    const here = ring[i];
    const after = ring[(i + 1) % ring.length];
    const isEnd = !isClosed && (i === 0 || i === ring.length - 1);
    if (isEnd || !isGentle(before, here, after)) out.push(here);
    else out.push(between(here, before, 0.28), between(here, after, 0.28));
  }
  return isClosed ? [...out, out[0]] : out;
}

function isGentle(a: Point, b: Point, c: Point): boolean {
  const [ux, uy, vx, vy] = [b.x - a.x, b.y - a.y, c.x - b.x, c.y - b.y];
  const dot = ux * vx + uy * vy;
  return dot > 0.45 * Math.sqrt((ux * ux + uy * uy) * (vx * vx + vy * vy));
}

function between(a: Point, b: Point, share: number): Point {
  return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share };
}

/** Short level strokes at the ends of upright ones. */
function serifs(stroke: readonly Point[]): Point[][] {
  const ends: [Point, Point][] = [
    [stroke[0], stroke[1]],
    [stroke[stroke.length - 1], stroke[stroke.length - 2]],
  ];
  return ends.flatMap(([end, inner]) => {
    if (inner === undefined || Math.abs(end.y - inner.y) < 3 || Math.abs(end.x - inner.x) > 4) return [];
    return [
      [
        { x: end.x - 1.3, y: end.y },
        { x: end.x + 1.3, y: end.y },
      ],
    ];
  });
}

/** Pixels of a grid seven high for capitals. */
const BITMAP_ROWS = 7;

function drawBitmap(canvas: Canvas, glyph: Glyph, at: Point, size: number, font: Font, colour: Colour): void {
  const unit = CAP_HEIGHT / (BITMAP_ROWS - 1);
  const pixel = size / BITMAP_ROWS;
  for (const { col, row } of bitmapOf(glyph, unit)) {
    fillBox(
      canvas,
      { x: at.x + col * pixel * font.stretch, y: at.y + row * pixel, width: pixel * font.stretch, height: pixel },
      colour,
    );
  }
}

const bitmaps = new WeakMap<Glyph, readonly { col: number; row: number }[]>();

function bitmapOf(glyph: Glyph, unit: number): readonly { col: number; row: number }[] {
  const known = bitmaps.get(glyph);
  if (known) return known;
  const cells = new Map<string, { col: number; row: number }>();
  for (const stroke of glyph.strokes) {
    for (let i = 0; i + 1 < stroke.length; i++) {
      for (let step = 0; step <= 24; step++) {
        const p = between(stroke[i], stroke[i + 1], step / 24);
        const cell = { col: Math.round(p.x / unit), row: Math.round(p.y / unit) };
        cells.set(`${cell.col} ${cell.row}`, cell);
      }
    }
  }
  const list = [...cells.values()];
  bitmaps.set(glyph, list);
  return list;
}
