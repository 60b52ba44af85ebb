/** What can be asked about things in a picture, and the answers: words and geometry, no draws and no pixels. */
import type { Point } from "./canvas.ts";
import { nameOf, type Thing } from "./objects.ts";

export type NamedThing = Pick<Thing, "shape" | "colour" | "centre">;

export interface Asked {
  readonly question: string;
  readonly answer: string;
}

export function colourOf({ shape, colour }: NamedThing): Asked {
  return { question: `What colour is the ${shape}?`, answer: colour };
}

export function shapeOf({ shape, colour }: NamedThing): Asked {
  return { question: `What shape is the ${colour} object?`, answer: shape };
}

/**
 * Where a thing is: its middle as `<at x y>`, which the loader says in the letters of its model (src/data/places.ts).
 *
 * @param name "ring", "red object" or "red ring".
 */
export function placeOf({ centre }: NamedThing, name: string): Asked {
  return { question: `Where is the ${name}?`, answer: `<at ${centre.x} ${centre.y}>` };
}

/** The things that no other one equals in shape, or in colour, or in both. */
export function onlyOnes<T extends NamedThing>(things: readonly T[], keys: readonly ("shape" | "colour")[]): T[] {
  return things.filter(
    (thing) => things.filter((other) => keys.every((key) => other[key] === thing[key])).length === 1,
  );
}

export function countOf(things: readonly NamedThing[]): Asked {
  return { question: "How many objects are there?", answer: String(things.length) };
}

/** How many have this shape, or this colour. */
export function countOfThose(things: readonly NamedThing[], key: "shape" | "colour", name: string): Asked {
  return {
    question: `How many ${key === "shape" ? plural(name) : `${name} objects`} are there?`,
    answer: String(things.filter((thing) => thing[key] === name).length),
  };
}

export function existenceOf(things: readonly NamedThing[], asked: Pick<Thing, "shape" | "colour">): Asked {
  const isThere = things.some((thing) => nameOf(thing) === nameOf(asked));
  return {
    question: `Is there ${asked.colour === "orange" ? "an" : "a"} ${nameOf(asked)}?`,
    answer: isThere ? "yes" : "no",
  };
}

const OPPOSITES = { "left of": "right of", "right of": "left of", above: "below", below: "above" } as const;
export type Relation = keyof typeof OPPOSITES;

/** Where `a` is, seen from `b`, along the axis on which they are farther apart; null within `least` of each other. */
export function relationOf(a: Point, b: Point, least: number): Relation | null {
  const [dx, dy] = [a.x - b.x, a.y - b.y];
  if (Math.max(Math.abs(dx), Math.abs(dy)) <= least) return null;
  if (Math.abs(dx) > Math.abs(dy)) return dx < 0 ? "left of" : "right of";
  return dy < 0 ? "above" : "below";
}

/** @param isTrue Whether the right relation is asked about, or its opposite. */
export function relationBetween(a: NamedThing, b: NamedThing, relation: Relation, isTrue: boolean): Asked {
  const said = isTrue ? relation : OPPOSITES[relation];
  return { question: `Is the ${nameOf(a)} ${said} the ${nameOf(b)}?`, answer: isTrue ? "yes" : "no" };
}

/** The shape of what is farthest to the left; null when the next one is within `least` of it. */
export function leftmostOf(things: readonly NamedThing[], least: number): Asked | null {
  const [first, second] = [...things].sort((a, b) => a.centre.x - b.centre.x);
  if (second === undefined || second.centre.x - first.centre.x <= least) return null;
  return { question: "What shape is the leftmost object?", answer: first.shape };
}

function plural(word: string): string {
  return word === "cross" ? "crosses" : `${word}s`;
}
