/**
 * Many questions of one kind about the things of a picture, for a language model that sees names in place of pixels (docs/decisions/0015-places.md).
 * The questions of scenes come a few at a time and all kinds at once, so that most can be answered from what was answered before; to find the thing
 * that a word means, or to count, is learnt where nothing else helps.
 */
import type { Dice } from "./dice.ts";
import { anyPair, nameOf } from "./objects.ts";
import {
  type Asked,
  colourOf,
  countOf,
  countOfThose,
  existenceOf,
  leftmostOf,
  type NamedThing,
  onlyOnes,
  placeOf,
  relationBetween,
  relationOf,
  shapeOf,
} from "./thing-questions.ts";

type Pair = Pick<NamedThing, "colour" | "shape">;

/** Questions about one picture at most. */
const [MOST, MOST_PLACES] = [16, 6];

/** Nearer than these shares of the side, things stand neither left nor right, neither above nor below each other. */
const [APART, LEFT] = [0.1, 0.06];

/**
 * Questions of one kind and their answers: what colour a shape has and how many there are of it, what shape a colour has, what is there, how two lie to
 * each other.
 *
 * @param things Their middles in shares of width and height.
 * @returns Null for fewer than two things.
 */
export function drawDrills(dice: Dice, things: readonly NamedThing[]): Asked[] | null {
  if (things.length < 2) return null;
  const counts = (key: "shape" | "colour"): Asked[] =>
    [...new Set(things.map((thing) => thing[key]))].map((name) => countOfThose(things, key, name));
  const coloursOfShapes = [...onlyOnes(things, ["shape"]).map(colourOf), ...counts("shape"), countOf(things)];
  const shapesOfColours = [...onlyOnes(things, ["colour"]).map(shapeOf), ...counts("colour")];
  const leftmost = leftmostOf(things, LEFT);
  if (leftmost) shapesOfColours.push(leftmost);
  const kinds = [
    coloursOfShapes,
    coloursOfShapes, // twice: it begins last
    shapesOfColours,
    existence(dice, things),
    relations(dice, things),
  ].filter((asked) => asked.length >= 2);
  return dice.sample(dice.pick(kinds), MOST);
}

/**
 * Where things are. The answer tells far more than a colour does, and of each thing by itself: a model learns from it to find what a word means.
 *
 * @returns Null where there is nothing to tell apart.
 */
export function drawPlaceDrills(dice: Dice, things: readonly NamedThing[]): Asked[] | null {
  if (things.length < 2) return null;
  const shapes = onlyOnes(things, ["shape"]);
  const asked = [
    ...shapes.map((thing) => placeOf(thing, thing.shape)),
    ...onlyOnes(things, ["colour"]).map((thing) => placeOf(thing, `${thing.colour} object`)),
    ...onlyOnes(things, ["shape", "colour"])
      .filter((thing) => !shapes.includes(thing))
      .map((thing) => placeOf(thing, nameOf(thing))),
  ];
  return asked.length === 0 ? null : dice.sample(asked, MOST_PLACES);
}

/** Three that are there and three that are not; of these most have a colour and a shape that are there, in two things. */
function existence(dice: Dice, things: readonly NamedThing[]): Asked[] {
  const asked = new Map<string, Asked>();
  const ask = (thing: Pair): Asked => {
    const exchange = existenceOf(things, thing);
    asked.set(exchange.question, exchange);
    return exchange;
  };
  for (let i = 0; i < 3; i++) {
    ask(dice.pick(things));
    for (let isNo = false; !isNo; ) {
      const mixed = (): Pair => ({ colour: dice.pick(things).colour, shape: dice.pick(things).shape });
      isNo = ask(dice.chance(0.6) ? mixed() : anyPair(dice)).answer === "no";
    }
  }
  return [...asked.values()];
}

/** Each pair once: the answer about the other way round would be known. */
function relations(dice: Dice, things: readonly NamedThing[]): Asked[] {
  const named = dice.shuffle(onlyOnes(things, ["shape", "colour"]));
  return named.flatMap((a, i) =>
    named.slice(i + 1).flatMap((b) => {
      const relation = relationOf(a.centre, b.centre, APART);
      return relation === null ? [] : [relationBetween(a, b, relation, dice.chance(0.5))];
    }),
  );
}
