/** Things that scenes and videos are made of: shapes in colours. */
import type { Canvas, Colour, Point } from "./canvas.ts";
import { type Dice, hashText } from "./dice.ts";
import type { Split } from "./font.ts";
import { fillCircle, fillPolygon, regularPolygon, roundBox, strokePath } from "./shapes.ts";

export const SHAPES = ["circle", "square", "triangle", "star", "hexagon", "cross", "ring", "heart"] as const;
export type Shape = (typeof SHAPES)[number];

export const COLOURS: Readonly<Record<string, Colour>> = {
  red: [214, 40, 40],
  green: [46, 150, 70],
  blue: [40, 90, 210],
  yellow: [245, 205, 50],
  orange: [240, 130, 30],
  purple: [130, 60, 170],
  black: [30, 30, 30],
  brown: [125, 80, 45],
};
export const COLOUR_NAMES: readonly string[] = Object.keys(COLOURS);

export interface Thing {
  readonly shape: Shape;
  readonly colour: string;
  readonly centre: Point;
  readonly radius: number;
}

/** Pairs of colour and shape that only the test split shows: one in eight. */
export function isTestPair(colour: string, shape: Shape): boolean {
  return hashText(`${colour} ${shape}`) % 8 === 0;
}

/** Any colour with any shape. */
export function anyPair(dice: Dice): { colour: string; shape: Shape } {
  return { colour: dice.pick(COLOUR_NAMES), shape: dice.pick(SHAPES) };
}

/** A colour and a shape that the split may show. */
export function drawPair(dice: Dice, split: Split): { colour: string; shape: Shape } {
  for (;;) {
    const pair = anyPair(dice);
    if (split === "test" || !isTestPair(pair.colour, pair.shape)) return pair;
  }
}

export function nameOf({ colour, shape }: Pick<Thing, "colour" | "shape">): string {
  return `${colour} ${shape}`;
}

/** Notes colour and shape in its middle. @param turn Degrees; circles, rings and hearts stay upright. */
export function drawThing(canvas: Canvas, { shape, colour, centre, radius }: Thing, turn = 0): void {
  const paint = COLOURS[colour];
  const { x, y } = centre;
  canvas.places.push({ x, y, text: colour }, { x, y, text: shape });
  switch (shape) {
    case "circle":
      fillCircle(canvas, centre, radius, paint);
      break;
    case "square":
      fillPolygon(canvas, regularPolygon(centre, radius * 1.15, 4, 45 + turn), paint);
      break;
    case "triangle":
      fillPolygon(canvas, regularPolygon({ x, y: y + radius * 0.2 }, radius * 1.15, 3, turn), paint);
      break;
    case "star":
      fillPolygon(canvas, regularPolygon(centre, radius * 1.15, 5, turn, 0.45), paint);
      break;
    case "hexagon":
      fillPolygon(canvas, regularPolygon(centre, radius * 1.05, 6, turn), paint);
      break;
    case "cross": {
      const bar = radius * 0.35;
      fillPolygon(canvas, roundBox({ x: x - bar, y: y - radius, width: 2 * bar, height: 2 * radius }, 1), paint);
      fillPolygon(canvas, roundBox({ x: x - radius, y: y - bar, width: 2 * radius, height: 2 * bar }, 1), paint);
      break;
    }
    case "ring": {
      const around = regularPolygon(centre, radius * 0.8, 48);
      strokePath(canvas, [...around, around[0]], radius * 0.4, paint);
      break;
    }
    case "heart": {
      const r = radius * 0.55;
      fillCircle(canvas, { x: x - r * 0.85, y: y - r * 0.5 }, r, paint);
      fillCircle(canvas, { x: x + r * 0.85, y: y - r * 0.5 }, r, paint);
      const tip = [
        { x: x - radius * 0.93, y: y - r * 0.1 },
        { x: x + radius * 0.93, y: y - r * 0.1 },
        { x, y: y + radius },
      ];
      fillPolygon(canvas, tip, paint);
      break;
    }
  }
}
