/** Scenes after GQA and CLEVR: shapes in colours on a ground; what, which colour, how many, where. Scored by exact match. */

import type { Canvas, Colour } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Exchange, ONE_WORD_OR_PHRASE, type SynthExample, still } from "./example.ts";
import type { Split } from "./font.ts";
import { anyPair, COLOUR_NAMES, drawPair, drawThing, nameOf, SHAPES, type Thing } from "./objects.ts";
import { anyHue, gradientCanvas, weather } from "./paper.ts";
import { fillBox, strokePath } from "./shapes.ts";
import {
  type Asked,
  colourOf,
  countOf,
  countOfThose,
  existenceOf,
  leftmostOf,
  onlyOnes,
  relationBetween,
  relationOf,
  shapeOf,
} from "./thing-questions.ts";

const GROUNDS: Readonly<Record<Split, readonly (readonly [Colour, Colour])[]>> = {
  train: [
    [
      [250, 250, 250],
      [250, 250, 250],
    ],
    [
      [200, 225, 245],
      [235, 240, 225],
    ],
    [
      [225, 225, 225],
      [195, 195, 200],
    ],
    [
      [250, 235, 215],
      [235, 215, 190],
    ],
  ],
  validation: [
    [
      [225, 240, 230],
      [205, 220, 215],
    ],
  ],
  test: [
    [
      [240, 225, 245],
      [215, 205, 230],
    ],
    [
      [245, 245, 225],
      [220, 225, 200],
    ],
  ],
};

/** Draws one scene. */
export function drawScene(dice: Dice, split: Split): SynthExample {
  const [width, height] = [dice.int(200, 300), dice.int(180, 260)];
  const [top, bottom] = split === "train" && dice.chance(0.6) ? anyGround(dice) : dice.pick(GROUNDS[split]);
  const canvas = gradientCanvas(width, height, top, bottom);
  const layout = split === "train" ? dice.int(0, 1) : split === "validation" ? 2 : 3;
  drawGround(canvas, dice, layout);
  if (split === "train" && dice.chance(0.4)) drawSlantedLines(canvas, dice);
  const things = placeThings(dice, split, canvas);
  for (const thing of things) drawThing(canvas, thing, layout === 1 || layout === 3 ? dice.float(-25, 25) : 0);
  const picture = weather(canvas, dice);
  const drawn = { exchanges: questions(dice, things), caption: captionOf(things) };
  return still(dice, split, picture, `scene ${layout}`, drawn, 4);
}

/** Two light colours that no list has. */
function anyGround(dice: Dice): [Colour, Colour] {
  const hue = dice.float(0, 6);
  const tint = (): Colour => anyHue(dice, [0, 0.15], [0.75, 1], hue + dice.float(0, 1));
  return [tint(), tint()];
}

/** Thin lines behind the things, from the left edge to the right: what is there and no object. Never level or upright, as other splits have them. */
function drawSlantedLines(canvas: Canvas, dice: Dice): void {
  const shade = anyHue(dice, [0, 0.2], [0.6, 0.95]);
  const slope = (dice.chance(0.5) ? 1 : -1) * dice.float(0.2, 1.5);
  const drop = slope * canvas.width;
  for (let left = dice.int(1, 9); left > 0; left--) {
    const y = dice.float(Math.min(0, -drop), canvas.height + Math.max(0, -drop));
    const [from, to] = [
      { x: 0, y },
      { x: canvas.width, y: y + drop },
    ];
    strokePath(canvas, [from, to], dice.float(0.8, 1.8), shade);
  }
}

function drawGround(canvas: Canvas, dice: Dice, layout: number): void {
  const shade: Colour = [205, 205, 210];
  if (layout === 2)
    strokePath(
      canvas,
      [
        { x: 0, y: canvas.height * 0.7 },
        { x: canvas.width, y: canvas.height * 0.7 },
      ],
      1.5,
      shade,
    );
  if (layout === 3) {
    const step = dice.int(24, 40);
    for (let x = step; x < canvas.width; x += step)
      fillBox(canvas, { x, y: 0, width: 1, height: canvas.height }, shade);
    for (let y = step; y < canvas.height; y += step)
      fillBox(canvas, { x: 0, y, width: canvas.width, height: 1 }, shade);
  }
}

/** Things that do not touch. Kinds are drawn from a few, so that there is something to count. */
function placeThings(dice: Dice, split: Split, canvas: Canvas): Thing[] {
  const count = dice.int(2, 8);
  const kinds = Array.from({ length: dice.int(2, Math.max(2, count)) }, () => drawPair(dice, split));
  const things: Thing[] = [];
  for (let tries = 0; things.length < count && tries < 400; tries++) {
    const radius = dice.float(13, 26);
    const centre = {
      x: dice.float(radius + 4, canvas.width - radius - 4),
      y: dice.float(radius + 4, canvas.height - radius - 4),
    };
    const isFree = things.every((other) => distance(other, centre) > other.radius + radius + 5);
    if (isFree) things.push({ ...dice.pick(kinds), centre, radius });
  }
  return things;
}

function questions(dice: Dice, things: readonly Thing[]): Exchange[] {
  const exchanges: Exchange[] = [];
  const ask = ({ question, answer }: Asked, kind: string, chance: number): void => {
    exchanges.push({ question: question + ONE_WORD_OR_PHRASE, answers: [answer], metric: "exact", kind, chance });
  };
  for (const thing of onlyOnes(things, ["shape"]).slice(0, 2)) ask(colourOf(thing), "colour", 1 / COLOUR_NAMES.length);
  for (const thing of onlyOnes(things, ["colour"]).slice(0, 2)) ask(shapeOf(thing), "shape", 1 / SHAPES.length);
  const one = dice.pick(things);
  ask(countOf(things), "count", 1 / 7);
  ask(countOfThose(things, "shape", one.shape), "count", 1 / 4);
  ask(countOfThose(things, "colour", one.colour), "count", 1 / 4);
  ask(existenceOf(things, dice.chance(0.5) ? one : anyPair(dice)), "exist", 1 / 2);
  const named = onlyOnes(things, ["shape", "colour"]);
  if (named.length >= 2) {
    const [a, b] = dice.sample(named, 2);
    const relation = relationOf(a.centre, b.centre, 24);
    if (relation) ask(relationBetween(a, b, relation, dice.chance(0.5)), "relation", 1 / 2);
  }
  const biggest = [...things].sort((a, b) => b.radius - a.radius);
  if (biggest.length > 1 && biggest[0].radius > biggest[1].radius * 1.2) {
    const asked = { question: "What colour is the largest object?", answer: biggest[0].colour };
    ask(asked, "largest", 1 / COLOUR_NAMES.length);
  }
  const leftmost = leftmostOf(things, 16);
  if (leftmost) ask(leftmost, "position", 1 / SHAPES.length);
  return exchanges;
}

/** "From left to right: red circle, blue star. From top to bottom: …": every thing in an order that the picture decides, so that all of it can be learnt. */
function captionOf(things: readonly Thing[]): string {
  const along = (axis: "x" | "y"): string =>
    [...things]
      .sort((a, b) => a.centre[axis] - b.centre[axis])
      .map(nameOf)
      .join(", ");
  return `From left to right: ${along("x")}. From top to bottom: ${along("y")}.`;
}

function distance(thing: Thing, { x, y }: Thing["centre"]): number {
  return Math.sqrt((thing.centre.x - x) ** 2 + (thing.centre.y - y) ** 2);
}
