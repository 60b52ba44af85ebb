/**
 * Anti-aliased shapes. Polygons are filled by coverage: four lines of samples per row of pixels, exact along a line. Strokes and circles take
 * their coverage from the distance to the shape, so that overlapping strokes leave no seams.
 */
import type { Box, Canvas, Colour, Point } from "./canvas.ts";

/** Sample lines per row of pixels. */
const LINES = 4;

/** Fills a polygon, even-odd. The last point joins the first. */
export function fillPolygon(canvas: Canvas, points: readonly Point[], colour: Colour): void {
  const top = Math.max(0, Math.floor(Math.min(...points.map((p) => p.y))));
  const bottom = Math.min(canvas.height - 1, Math.ceil(Math.max(...points.map((p) => p.y))));
  const left = Math.max(0, Math.floor(Math.min(...points.map((p) => p.x))));
  const right = Math.min(canvas.width - 1, Math.ceil(Math.max(...points.map((p) => p.x))));
  const cover = new Float64Array(canvas.width);
  for (let y = top; y <= bottom; y++) {
    cover.fill(0);
    for (let line = 0; line < LINES; line++) {
      const crossings = crossingsAt(points, y + (line + 0.5) / LINES);
      for (let i = 0; i + 1 < crossings.length; i += 2) addSpan(cover, crossings[i], crossings[i + 1]);
    }
    for (let x = left; x <= right; x++) if (cover[x] > 0) canvas.blend(x, y, colour, cover[x] / LINES);
  }
}

function crossingsAt(points: readonly Point[], y: number): number[] {
  const xs: number[] = [];
  for (let i = 0; i < points.length; i++) {
    const a = points[i];
    const b = points[(i + 1) % points.length];
    if (a.y <= y === b.y <= y) continue;
    xs.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return xs.sort((a, b) => a - b);
}

/** Adds the part of every pixel that lies between two places on a line. */
function addSpan(cover: Float64Array, from: number, to: number): void {
  const start = Math.max(0, from);
  const end = Math.min(cover.length, to);
  for (let x = Math.floor(start); x < end; x++) cover[x] += Math.min(x + 1, end) - Math.max(x, start);
}

export function fillBox(canvas: Canvas, { x, y, width, height }: Box, colour: Colour): void {
  fillPolygon(canvas, corners({ x, y, width, height }), colour);
}

/** The outline of a box, its line inside it. */
export function strokeBox(canvas: Canvas, box: Box, thickness: number, colour: Colour): void {
  const half = thickness / 2;
  const inner = { x: box.x + half, y: box.y + half, width: box.width - thickness, height: box.height - thickness };
  const points = corners(inner);
  strokePath(canvas, [...points, points[0]], thickness, colour);
}

/** A box with round corners. */
export function roundBox({ x, y, width, height }: Box, radius: number): Point[] {
  const r = Math.min(radius, width / 2, height / 2);
  const centres: [number, number, number][] = [
    [x + width - r, y + r, -90],
    [x + width - r, y + height - r, 0],
    [x + r, y + height - r, 90],
    [x + r, y + r, 180],
  ];
  return centres.flatMap(([cx, cy, from]) => [0, 22.5, 45, 67.5, 90].map((step) => polar(cx, cy, r, from + step)));
}

/** A regular polygon or, with `inner` below 1, a star. Angle 0 points up. */
export function regularPolygon(centre: Point, radius: number, sides: number, turn = 0, inner = 1): Point[] {
  const count = inner < 1 ? sides * 2 : sides;
  return Array.from({ length: count }, (_, i) => {
    const r = inner < 1 && i % 2 === 1 ? radius * inner : radius;
    return polar(centre.x, centre.y, r, turn - 90 + (i * 360) / count);
  });
}

export function fillCircle(canvas: Canvas, centre: Point, radius: number, colour: Colour): void {
  eachPixel(canvas, boxAround(centre, radius), (x, y) => {
    canvas.blend(x, y, colour, radius + 0.5 - distance(x + 0.5 - centre.x, y + 0.5 - centre.y));
  });
}

/** A slice of a pie between two angles in degrees, clockwise from the top. */
export function sector(centre: Point, radius: number, from: number, to: number): Point[] {
  const steps = Math.max(1, Math.ceil((to - from) / 4));
  const arc = Array.from({ length: steps + 1 }, (_, i) =>
    polar(centre.x, centre.y, radius, from - 90 + ((to - from) * i) / steps),
  );
  return [centre, ...arc];
}

/** A line through `points` with round ends and joints. */
export function strokePath(canvas: Canvas, points: readonly Point[], thickness: number, colour: Colour): void {
  const mask = new StrokeMask(canvas);
  mask.addPath(points, () => thickness / 2);
  mask.paint(colour);
}

/** Dashes of `dash` pixels with gaps as long. */
export function strokeDashed(
  canvas: Canvas,
  from: Point,
  to: Point,
  thickness: number,
  dash: number,
  colour: Colour,
): void {
  const length = distance(to.x - from.x, to.y - from.y);
  for (let at = 0; at < length; at += 2 * dash) {
    const place = (d: number): Point => ({
      x: from.x + ((to.x - from.x) * Math.min(d, length)) / length,
      y: from.y + ((to.y - from.y) * Math.min(d, length)) / length,
    });
    strokePath(canvas, [place(at), place(at + dash)], thickness, colour);
  }
}

/** A line with a head at its end. */
export function strokeArrow(canvas: Canvas, from: Point, to: Point, thickness: number, colour: Colour): void {
  const length = distance(to.x - from.x, to.y - from.y);
  const [ux, uy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const head = thickness * 4;
  const neck = { x: to.x - ux * head, y: to.y - uy * head };
  strokePath(canvas, [from, neck], thickness, colour);
  const side = thickness * 2;
  const wings = [-1, 1].map((s) => ({ x: neck.x - uy * side * s, y: neck.y + ux * side * s }));
  fillPolygon(canvas, [to, wings[0], wings[1]], colour);
}

/** Zeroed coverage of a canvas between two strokes: a picture has hundreds of them. */
const covers = new WeakMap<Canvas, Float32Array>();

/** Coverage of many strokes that are painted at once: a pixel takes the largest. */
export class StrokeMask {
  readonly #canvas: Canvas;
  readonly #cover: Float32Array;
  /** Rows that hold any. */
  #top = Number.POSITIVE_INFINITY;
  #bottom = -1;

  constructor(canvas: Canvas) {
    this.#canvas = canvas;
    this.#cover = covers.get(canvas) ?? new Float32Array(canvas.width * canvas.height);
    covers.delete(canvas); // whoever paints gives it back
  }

  /** @param radiusOf Half the thickness of the segment with this direction. */
  addPath(points: readonly Point[], radiusOf: (dx: number, dy: number) => number): void {
    if (points.length === 1) this.#addSegment(points[0], points[0], radiusOf(0, 1));
    for (let i = 0; i + 1 < points.length; i++) {
      const [a, b] = [points[i], points[i + 1]];
      this.#addSegment(a, b, radiusOf(b.x - a.x, b.y - a.y));
    }
  }

  paint(colour: Colour): void {
    const { width } = this.#canvas;
    for (let y = this.#top; y <= this.#bottom; y++) {
      for (let x = 0; x < width; x++) {
        const cover = this.#cover[y * width + x];
        if (cover > 0) this.#canvas.blend(x, y, colour, cover);
      }
    }
    this.#cover.fill(0, this.#top * width, (this.#bottom + 1) * width);
    [this.#top, this.#bottom] = [Number.POSITIVE_INFINITY, -1];
    covers.set(this.#canvas, this.#cover);
  }

  #addSegment(a: Point, b: Point, radius: number): void {
    const reach = radius + 1;
    const box = {
      x: Math.min(a.x, b.x) - reach,
      y: Math.min(a.y, b.y) - reach,
      width: Math.abs(a.x - b.x) + 2 * reach,
      height: Math.abs(a.y - b.y) + 2 * reach,
    };
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const square = dx * dx + dy * dy;
    eachPixel(this.#canvas, box, (x, y) => {
      const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
      const along = square === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / square));
      // Lines thinner than a pixel are paler, not thinner.
      const cover = Math.min(1, 2 * radius, radius + 0.5 - distance(px - along * dx, py - along * dy));
      if (cover <= 0) return;
      const at = y * this.#canvas.width + x;
      if (cover > this.#cover[at]) this.#cover[at] = cover;
      if (y < this.#top) this.#top = y;
      if (y > this.#bottom) this.#bottom = y;
    });
  }
}

function corners({ x, y, width, height }: Box): Point[] {
  return [
    { x, y },
    { x: x + width, y },
    { x: x + width, y: y + height },
    { x, y: y + height },
  ];
}

function polar(x: number, y: number, radius: number, degrees: number): Point {
  const angle = (degrees * Math.PI) / 180;
  return { x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) };
}

function boxAround(centre: Point, radius: number): Box {
  const reach = radius + 1;
  return { x: centre.x - reach, y: centre.y - reach, width: 2 * reach, height: 2 * reach };
}

function eachPixel(canvas: Canvas, box: Box, visit: (x: number, y: number) => void): void {
  const right = Math.min(canvas.width - 1, Math.ceil(box.x + box.width));
  const bottom = Math.min(canvas.height - 1, Math.ceil(box.y + box.height));
  for (let y = Math.max(0, Math.floor(box.y)); y <= bottom; y++) {
    for (let x = Math.max(0, Math.floor(box.x)); x <= right; x++) visit(x, y);
  }
}

function distance(dx: number, dy: number): number {
  return Math.sqrt(dx * dx + dy * dy);
}
