/**
 * First pictures: one to three large things, or a few large letters, on a small square. A model that starts from nothing finds out here what shapes,
 * colours and letters are, and that answers are to be looked up in the picture; the other families show too much at once for that.
 */
import { Canvas } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Drawn, type Exchange, ONE_WORD_OR_PHRASE, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, measureText, type Split } from "./font.ts";
import { drawPair, drawThing, nameOf, type Thing } from "./objects.ts";
import { inkColour, paperTint, weather } from "./paper.ts";
import { type Asked, colourOf, countOf, onlyOnes, shapeOf } from "./thing-questions.ts";
import { Writer } from "./words.ts";

/** Draws one. */
export function drawPrimer(dice: Dice, split: Split): SynthExample {
  const kind = dice.pick(["things", "letters"] as const);
  const side = dice.int(112, 176);
  const canvas = new Canvas(side, side, paperTint(dice, split));
  const drawn = kind === "things" ? drawThings(dice, split, canvas) : drawLetters(dice, split, canvas);
  return still(dice, split, weather(canvas, dice), kind, drawn);
}

function drawThings(dice: Dice, split: Split, canvas: Canvas): Drawn {
  const count = dice.pick([1, 1, 2, 3]);
  const lane = canvas.width / count;
  const things = Array.from({ length: count }, (_, i): Thing => {
    const radius = dice.float(14, Math.min(lane / 2 - 2, 40));
    const place = (from: number, length: number): number => dice.float(from + radius + 1, from + length - radius - 1);
    return { ...drawPair(dice, split), radius, centre: { x: place(i * lane, lane), y: place(0, canvas.height) } };
  });
  for (const thing of things) drawThing(canvas, thing, dice.chance(0.5) ? dice.float(-20, 20) : 0);
  const exchanges = [ask(countOf(things), "count")];
  const [shapes, colours] = [onlyOnes(things, ["shape"]), onlyOnes(things, ["colour"])];
  for (const thing of things) {
    if (shapes.includes(thing)) exchanges.push(ask(colourOf(thing), "colour"));
    if (colours.includes(thing)) exchanges.push(ask(shapeOf(thing), "shape"));
  }
  return { exchanges, caption: `From left to right: ${things.map(nameOf).join(", ")}.` };
}

function drawLetters(dice: Dice, split: Split, canvas: Canvas): Drawn {
  const write = new Writer(dice, split);
  const text = dice.pick([
    () => write.things(1)[0],
    () => write.things(1)[0],
    () => write.surname(),
    () => write.firstName(),
    () => String(dice.int(1, 999)),
    () => write.price().text,
    () => write.code(),
  ])();
  const style = { font: anyFont(dice, split), size: dice.float(12, 34), colour: inkColour(dice, split) };
  const room = canvas.width - 12;
  const size = Math.min(style.size, (style.size * room) / measureText(text, style));
  const at = {
    x: dice.float(6, Math.max(6, canvas.width - 6 - measureText(text, { ...style, size }))),
    y: dice.float(4, canvas.height - size * 1.5 - 4),
  };
  drawText(canvas, text, at, { ...style, size });
  return {
    exchanges: [ask({ question: "What is written?", answer: text }, "line")],
    caption: `A line of text: ${text}.`,
  };
}

function ask({ question, answer }: Asked, kind: string): Exchange {
  return { question: question + ONE_WORD_OR_PHRASE, answers: [answer], metric: "exact", kind, chance: 0 };
}
