/** What every kind of document is drawn with, and how it is asked about. */
import type { Canvas } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Exchange, ONE_WORD_OR_PHRASE } from "./example.ts";
import { measureText, type Split, type TextStyle } from "./font.ts";
import type { Writer } from "./words.ts";

export interface Desk {
  readonly dice: Dice;
  readonly split: Split;
  readonly write: Writer;
  readonly layout: number;
  readonly style: TextStyle;
  readonly page: Canvas;
}

export function ask(question: string, answers: string | readonly string[], kind: string): Exchange {
  return { question: question + ONE_WORD_OR_PHRASE, answers: [answers].flat(), metric: "anls", kind, chance: 0 };
}

/** The style, smaller when the text is wider than `width`. */
export function fitted(text: string, style: TextStyle, width: number): TextStyle {
  const measured = measureText(text, style);
  return measured > width ? { ...style, size: (style.size * width) / measured } : style;
}
