/** What a family of pictures gives: a picture or a short video, and questions with their answers. */
import type { Canvas } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import type { Split } from "./font.ts";

/** How answers are scored; the names of the benchmarks' metrics. */
export type Metric = "anls" | "relaxed" | "exact" | "choice" | "iou";

export interface Exchange {
  /** With the instruction that the benchmark adds. */
  readonly question: string;
  /** All that count as right; the first is the one that is taught. */
  readonly answers: readonly string[];
  readonly metric: Metric;
  /** What is asked for, for the breakdown of scores: "colour", "total", "count". */
  readonly kind: string;
  /** Score of guessing among the plausible answers without looking. */
  readonly chance: number;
}

export interface SynthExample {
  /** One picture, or the frames of a video. */
  readonly frames: readonly Canvas[];
  /** Null for a picture. */
  readonly framesPerSecond: number | null;
  readonly exchanges: readonly Exchange[];
  /** What there is to see, in a sentence: for learning to look before learning to answer. */
  readonly caption: string;
  /** Which of the family's layouts it is, for the manifest. */
  readonly layout: string;
}

/** Draws one example of a family. */
export type Family = (dice: Dice, split: Split) => SynthExample;

/** Instructions as the benchmarks word them. */
export const ONE_WORD_OR_PHRASE = "\nAnswer the question using a single word or phrase.";
export const ONE_WORD = "\nAnswer the question with a single word.";
export const OPTION_LETTER = "\nAnswer with the option's letter from the given choices directly.";
export const TIMES_ONLY = " Answer the question only using start and end timestamps.";

/** What a still picture shows and can be asked about. */
export interface Drawn {
  readonly exchanges: readonly Exchange[];
  readonly caption: string;
}

/**
 * Questions about one example at most. A picture costs the trainer far more than a question about it, so training asks nearly all there is;
 * the other splits ask a few of many pictures.
 */
export function mostQuestions(split: Split, most: number): number {
  return split === "train" ? 12 : most;
}

/** A still picture with some of the questions, in random order. */
export function still(
  dice: Dice,
  split: Split,
  picture: Canvas,
  layout: string,
  { exchanges, caption }: Drawn,
  most = 3,
): SynthExample {
  const asked = dice.sample(exchanges, mostQuestions(split, most));
  return { frames: [picture], framesPerSecond: null, exchanges: asked, caption, layout };
}

/** "a, b and c". */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items[items.length - 1]}`;
}

/** A question with four options of which one is right. */
export function multipleChoice(
  dice: Dice,
  question: string,
  right: string,
  wrong: readonly string[],
  kind: string,
): Exchange {
  const options = dice.shuffle([right, ...wrong]);
  const listed = options.map((option, i) => `${"ABCDEF"[i]}. ${option}`).join("\n");
  return {
    question: `${question}\n${listed}${OPTION_LETTER}`,
    answers: ["ABCDEF"[options.indexOf(right)]],
    metric: "choice",
    kind,
    chance: 1 / options.length,
  };
}
