/** What charts are asked: the benchmark's kinds of questions, and for training steps on the way from one mark to all of them. */
import type { Dice } from "./dice.ts";
import { type Exchange, listed, ONE_WORD } from "./example.ts";
import type { Split } from "./font.ts";

/** Marks of one chart, or of one series of it, in the order in which they stand. */
export interface Marks {
  readonly labels: readonly string[];
  readonly values: readonly number[];
  /** " in 2022" for one series of several, or nothing. */
  readonly where: string;
  /** How their sizes are spoken of. */
  readonly words: ChartWords;
}

/** Words for sizes: of values and of shares. */
export interface ChartWords {
  readonly size: "value" | "share";
  readonly unit: "" | "%";
  readonly most: string;
  readonly least: string;
  /** Of guessing a size. */
  readonly chance: number;
}

export const VALUE_WORDS: ChartWords = {
  size: "value",
  unit: "",
  most: "highest",
  least: "lowest",
  chance: 1 / 19,
};
export const SHARE_WORDS: ChartWords = {
  size: "share",
  unit: "%",
  most: "largest",
  least: "smallest",
  chance: 1 / 15,
};

export function askChart(question: string, answer: string, kind: string, chance: number): Exchange {
  return { question: question + ONE_WORD, answers: [answer], metric: "relaxed", kind, chance };
}

/** The size of a mark. */
export function sizeOf({ labels, values, where, words }: Marks, i: number): Exchange {
  const question = `What is the ${words.size} of ${labels[i]}${where}?`;
  return askChart(question, `${values[i]}${words.unit}`, words.size, words.chance);
}

/** Which mark has the most and which the least. */
export function extremesOf(marks: Marks): Exchange[] {
  const { labels, where, words } = marks;
  const which = (extreme: string, i: number, kind: string): Exchange =>
    askChart(`Which has the ${extreme} ${words.size}${where}?`, labels[i], kind, 1 / labels.length);
  return [which(words.most, mostOf(marks), "highest"), which(words.least, leastOf(marks), "lowest")];
}

function mostOf({ values }: Pick<Marks, "values">): number {
  return values.indexOf(Math.max(...values));
}

function leastOf({ values }: Pick<Marks, "values">): number {
  return values.indexOf(Math.min(...values));
}

/** Of which marks the size is asked: of one of them; in training, where a question costs little, of all. */
export function askedMarks(dice: Dice, split: Split, count: number): number[] {
  const one = dice.int(0, count - 1);
  return split === "train" ? Array.from({ length: count }, (_, i) => i) : [one];
}

/** Pairs of marks to compare: one, or in training three. */
export function askedPairs(dice: Dice, split: Split, count: number): number[][] {
  return Array.from({ length: split === "train" ? 3 : 1 }, () => dice.sample([...Array(count).keys()], 2));
}

const ORDER = ["first", "second", "third", "fourth", "fifth", "sixth"];

/**
 * Steps from the size of a named mark to the name of the highest, which no model learns from that question alone: a mark found by its size or its
 * place, the highest of those that the question names, the highest as a number, and whether a named one is it.
 */
export function stepsToExtremes(dice: Dice, marks: Marks): Exchange[] {
  const { labels, values, where, words } = marks;
  const [most, least] = [mostOf(marks), leastOf(marks)];
  const count = labels.length;
  const share = 1 / count;
  const extreme = dice.chance(0.5) ? words.most : words.least;
  const isMost = extreme === words.most;
  const best = isMost ? most : least;
  const among = (size: number): Exchange => {
    const some = dice.sample([...Array(count).keys()], size);
    const own = some.map((i) => values[i]);
    const winner = some[isMost ? mostOf({ values: own }) : leastOf({ values: own })];
    const names = some.map((i) => labels[i]);
    return askChart(
      `Which of ${listed(names)} has the ${extreme} ${words.size}${where}?`,
      labels[winner],
      "among",
      1 / size,
    );
  };
  const asked = dice.chance(0.5) ? best : dice.int(0, count - 1);
  const place = dice.int(0, count - 1);
  const number = dice.int(0, count - 1);
  return [
    askChart(`Which has a ${words.size} of ${values[number]}${words.unit}${where}?`, labels[number], "found", share),
    askChart(`Which is the ${ORDER[place]} label?`, labels[place], "ordinal", share),
    askChart(`What is the ${extreme} ${words.size}${where}?`, `${values[best]}${words.unit}`, "extreme", words.chance),
    askChart(
      `Does ${labels[asked]} have the ${extreme} ${words.size}${where}?`,
      asked === best ? "yes" : "no",
      "is extreme",
      1 / 2,
    ),
    among(2),
    ...(count > 3 ? [among(3)] : []),
    among(count),
  ];
}
