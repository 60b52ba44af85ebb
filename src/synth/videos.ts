/** Short videos after ActivityNet-QA and LITA: which way, in what order, how often, and when. Times are scored by overlap. */
import type { Canvas, Colour, Point } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import {
  type Drawn,
  type Exchange,
  listed,
  mostQuestions,
  ONE_WORD_OR_PHRASE,
  type SynthExample,
  TIMES_ONLY,
} from "./example.ts";
import type { Split } from "./font.ts";
import { drawPair, drawThing, nameOf, type Thing } from "./objects.ts";
import { gradientCanvas, grain } from "./paper.ts";

const FRAMES = 16;
const FRAMES_PER_SECOND = 2;

const GROUNDS: Readonly<Record<Split, readonly (readonly [Colour, Colour])[]>> = {
  train: [
    [
      [250, 250, 250],
      [250, 250, 250],
    ],
    [
      [210, 225, 240],
      [240, 240, 225],
    ],
    [
      [225, 225, 225],
      [205, 205, 205],
    ],
  ],
  validation: [
    [
      [225, 240, 230],
      [210, 225, 220],
    ],
  ],
  test: [
    [
      [240, 230, 245],
      [220, 210, 230],
    ],
  ],
};

interface Scene {
  readonly dice: Dice;
  readonly split: Split;
  readonly ground: readonly [Colour, Colour];
  readonly side: number;
}

/** Draws one video of 16 frames, 8 seconds. */
export function drawVideo(dice: Dice, split: Split): SynthExample {
  const scene: Scene = { dice, split, ground: dice.pick(GROUNDS[split]), side: dice.int(112, 160) };
  const kind = dice.pick(["motion", "order", "flash", "when"] as const);
  const draw = { motion: drawMotion, order: drawOrder, flash: drawFlash, when: drawWhen }[kind];
  const { frames, exchanges, caption } = draw(scene);
  const isGrainy = dice.chance(0.3);
  for (const [index, frame] of frames.entries()) {
    if (isGrainy) grain(frame, dice, 6);
    // Formats drop a frame that equals the one before it; one invisible bit keeps all of them, and their times.
    frame.data[0] = (frame.data[0] & ~1) | (index & 1);
  }
  return {
    frames,
    framesPerSecond: FRAMES_PER_SECOND,
    exchanges: dice.sample(exchanges, mostQuestions(split, 3)),
    caption,
    layout: kind,
  };
}

interface Film extends Drawn {
  readonly frames: readonly Canvas[];
}

/** Frames with the things that are visible at each. */
function film({ ground, side }: Scene, visible: (frame: number) => readonly Thing[]): Canvas[] {
  return Array.from({ length: FRAMES }, (_, frame) => {
    const canvas = gradientCanvas(side, side, ...ground);
    for (const thing of visible(frame)) drawThing(canvas, thing);
    return canvas;
  });
}

const DIRECTIONS: Readonly<Record<string, Point>> = {
  left: { x: -1, y: 0 },
  right: { x: 1, y: 0 },
  up: { x: 0, y: -1 },
  down: { x: 0, y: 1 },
};

/** One thing crosses the picture while another stands still. */
function drawMotion(scene: Scene): Film {
  const { dice, side } = scene;
  const [mover, rest] = differentPairs(scene, 2);
  const direction = dice.pick(Object.keys(DIRECTIONS));
  const { x: dx, y: dy } = DIRECTIONS[direction];
  const radius = dice.float(11, 16);
  const lane = dice.float(radius + 8, side - radius - 8);
  const reach = side - 2 * radius - 8;
  const at = (frame: number): Point => {
    const share = frame / (FRAMES - 1) - 0.5;
    return { x: dx === 0 ? lane : side / 2 + dx * share * reach, y: dy === 0 ? lane : side / 2 + dy * share * reach };
  };
  const opposite = lane > side / 2 ? side * 0.2 : side * 0.8;
  const still: Thing = {
    ...rest,
    radius,
    centre: dx === 0 ? { x: opposite, y: side / 2 } : { x: side / 2, y: opposite },
  };
  const frames = film(scene, (frame) => [still, { ...mover, radius, centre: at(frame) }]);
  return {
    frames,
    caption: `The ${nameOf(mover)} moves ${direction}; the ${nameOf(rest)} stays.`,
    exchanges: [
      ask(`In which direction does the ${nameOf(mover)} move?`, direction, "motion", 1 / 4),
      ask("What colour is the moving object?", mover.colour, "mover", 1 / 2),
      ask("What shape does not move?", rest.shape, "still", 1 / 2),
    ],
  };
}

/** Three things appear one after the other and stay. */
function drawOrder(scene: Scene): Film {
  const { dice, side } = scene;
  const pairs = differentPairs(scene, 3);
  const starts = dice.sample([1, 2, 3, 4], 1).concat(dice.sample([6, 7, 8], 1), dice.sample([10, 11, 12, 13], 1));
  const places = dice
    .shuffle([0.22, 0.5, 0.78])
    .map((share) => ({ x: side * share, y: dice.float(side * 0.25, side * 0.75) }));
  const things = pairs.map((pair, i): Thing => ({ ...pair, centre: places[i], radius: dice.float(11, 15) }));
  const frames = film(scene, (frame) => things.filter((_, i) => frame >= starts[i]));
  return {
    frames,
    caption: `${listed(things.map((thing) => `the ${nameOf(thing)}`)).replace(/^the/, "The")} appear in this order.`,
    exchanges: [
      ask("What appears first?", nameOf(things[0]), "order", 1 / 3),
      ask("What appears last?", nameOf(things[2]), "order", 1 / 3),
      ask(`What appears right after the ${nameOf(things[0])}?`, nameOf(things[1]), "order", 1 / 2),
      ask("How many objects are there at the end?", "3", "count", 1 / 3),
    ],
  };
}

/** One thing lights up several times. */
function drawFlash(scene: Scene): Film {
  const { dice, side } = scene;
  const [pair] = differentPairs(scene, 1);
  const times = dice.int(1, 4);
  const thing: Thing = {
    ...pair,
    centre: { x: dice.float(30, side - 30), y: dice.float(30, side - 30) },
    radius: dice.float(12, 18),
  };
  const slots = dice.sample([1, 4, 7, 10, 13], times);
  const lit = new Set(slots.flatMap((slot) => [slot, slot + 1]));
  const frames = film(scene, (frame) => (lit.has(frame) ? [thing] : []));
  return {
    frames,
    caption: `The ${nameOf(thing)} appears ${["once", "twice", "three times", "four times"][times - 1]}.`,
    exchanges: [
      ask(`How many times does the ${nameOf(thing)} appear?`, String(times), "count", 1 / 4),
      ask("What shape appears?", thing.shape, "shape", 1 / 8),
    ],
  };
}

/** One thing is visible for a while, another one all the time. */
function drawWhen(scene: Scene): Film {
  const { dice, side } = scene;
  const [pair, other] = differentPairs(scene, 2);
  const from = dice.int(0, FRAMES - 5);
  const to = dice.int(from + 3, FRAMES - 1); // the first frame without it
  const [left, right] = dice.shuffle([0.28, 0.72]);
  const thing: Thing = {
    ...pair,
    centre: { x: side * left, y: dice.float(side * 0.3, side * 0.7) },
    radius: dice.float(12, 17),
  };
  const still: Thing = {
    ...other,
    centre: { x: side * right, y: dice.float(side * 0.3, side * 0.7) },
    radius: dice.float(12, 17),
  };
  const frames = film(scene, (frame) => (frame >= from && frame < to ? [still, thing] : [still]));
  const seconds = (frame: number): string => `<${(frame / FRAMES_PER_SECOND).toFixed(1)}>`;
  const span = `${seconds(from)} ${seconds(to)}`;
  const times = (question: string): Exchange => ({
    question: question + TIMES_ONLY,
    answers: [span],
    metric: "iou",
    kind: "when",
    chance: (to - from) / FRAMES,
  });
  const inHalf = (half: string): Exchange =>
    ask(`Is the ${nameOf(thing)} in the first or the second half of the video?`, half, "half", 1 / 2);
  return {
    frames,
    caption: `${span} The ${nameOf(thing)} is visible beside the ${nameOf(still)}.`,
    exchanges: [
      times(`When is the ${nameOf(thing)} visible in the video?`),
      times(`At what time in the video does the ${nameOf(thing)} appear and disappear?`),
      ...(Math.abs((from + to) / 2 - FRAMES / 2) < 2 ? [] : [inHalf(from + to > FRAMES ? "second" : "first")]),
      ask("Which object is always visible?", nameOf(still), "always", 1 / 2),
    ],
  };
}

function differentPairs({ dice, split }: Scene, count: number): Pick<Thing, "colour" | "shape">[] {
  const pairs: Pick<Thing, "colour" | "shape">[] = [];
  while (pairs.length < count) {
    const pair = drawPair(dice, split);
    if (pairs.every((one) => one.colour !== pair.colour && one.shape !== pair.shape)) pairs.push(pair);
  }
  return pairs;
}

function ask(question: string, answer: string, kind: string, chance: number): Exchange {
  return { question: question + ONE_WORD_OR_PHRASE, answers: [answer], metric: "exact", kind, chance };
}
