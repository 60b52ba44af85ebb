/** The families of this world, and the one way to draw example number `index` of a split: nothing but names and numbers decides. */
import { drawChart } from "./charts.ts";
import { drawDiagram } from "./diagrams.ts";
import { Dice, hashText } from "./dice.ts";
import { drawDocument } from "./documents.ts";
import type { Family, SynthExample } from "./example.ts";
import type { Split } from "./font.ts";
import { drawInterface } from "./interfaces.ts";
import { drawLetters, drawLines, drawPage, drawWords } from "./letters.ts";
import { drawPrimer } from "./primers.ts";
import { drawScene } from "./scenes.ts";
import { drawVideo } from "./videos.ts";

export const FAMILIES = {
  primers: {
    draw: drawPrimer,
    standsFor: "first pictures of a model that starts from nothing",
    shows: "few large things or letters",
  },
  letters: {
    draw: drawLetters,
    standsFor: "first reading of a model that starts from nothing",
    shows: "grids of letters",
  },
  words: {
    draw: drawWords,
    standsFor: "first reading of a model that starts from nothing",
    shows: "rows of evenly spaced characters",
  },
  lines: {
    draw: drawLines,
    standsFor: "reading of a model that starts from nothing",
    shows: "lines of words and of random characters",
  },
  pages: {
    draw: drawPage,
    standsFor: "small print for a model that starts from nothing",
    shows: "pages full of words and random characters",
  },
  documents: { draw: drawDocument, standsFor: "DocVQA", shows: "lines, receipts, forms, tables, long pages" },
  charts: { draw: drawChart, standsFor: "ChartQA", shows: "bars, lines, pies, groups with legends" },
  scenes: { draw: drawScene, standsFor: "GQA, CLEVR", shows: "shapes, colours, counts, relations" },
  interfaces: { draw: drawInterface, standsFor: "Widget Captioning", shows: "screens: find, name, state" },
  diagrams: { draw: drawDiagram, standsFor: "AI2D", shows: "chains, cycles, trees with four options" },
  videos: { draw: drawVideo, standsFor: "ActivityNet-QA, ActivityNet-RTL", shows: "motion, order, count, when" },
} as const satisfies Record<string, { draw: Family; standsFor: string; shows: string }>;

export type FamilyName = keyof typeof FAMILIES;
export const FAMILY_NAMES: readonly FamilyName[] = Object.keys(FAMILIES) as FamilyName[];
export const SPLITS: readonly Split[] = ["train", "validation", "test"];

/** Raise a split's when its pictures or questions change: seeds then mean other examples. */
export const WORLD_VERSIONS: Readonly<Record<Split, number>> = { train: 8, validation: 3, test: 3 };

/** Example `index` of a split: the same on every machine, whatever was drawn before. */
export function drawExample(family: FamilyName, split: Split, seed: number, index: number): SynthExample {
  const key = `${WORLD_VERSIONS[split]} ${family} ${split} ${seed} ${index}`;
  const high = hashText(`high ${key}`) % 2 ** 21;
  return FAMILIES[family].draw(new Dice(high * 2 ** 32 + hashText(key)), split);
}
