/**
 * How VQA answers are made comparable: lower case, no punctuation, no articles, number words as digits, one spelling of contractions.
 * Source: `EvalAIAnswerProcessor` of lmms-eval v0.3.0 and VILA at b760c34 (equal on every tested text).
 */
import { pythonStrip } from "../../util/python-strip.ts";
import { pythonWords } from "../../util/python-text.ts";
import { CONTRACTIONS } from "./evalai-contractions.ts";

const PUNCTUATION = [...'; / [ ] " { } ( ) = + \\ _ - > < @ ` , ? !'.split(" ")];
const NUMBER_WORDS: ReadonlyMap<string, string> = new Map([
  ["none", "0"],
  ["zero", "0"],
  ...["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"].map(
    (word, i): [string, string] => [word, String(i + 1)],
  ),
]);
const ARTICLES: ReadonlySet<string> = new Set(["a", "an", "the"]);
/** KEEPS: the original passes a flag constant where the number of replacements goes. */
const MAX_PERIODS = 32;
/** Commas between digits: EvalAI takes any number of them, */
const COMMAS = /\p{Nd},+\p{Nd}/u;
/** its copies in MVBench and MIMIC-VQA exactly one. */
export const SINGLE_COMMA: RegExp = /\p{Nd},\p{Nd}/u;

/** The whole normaliser. */
export function normaliseVqaAnswer(text: string): string {
  return withoutArticles(withoutPunctuation(cleanVqaAnswer(tokeniseVqaAnswer(text))));
}

/** Step 1: lower case, no commas and question marks, `'s` set apart. */
export function tokeniseVqaAnswer(text: string): string {
  return pythonStrip(text.toLowerCase().replace(/[,?]/g, "").replaceAll("'s", " 's"));
}

/** Step 2: one line without blanks at its ends. */
export function cleanVqaAnswer(text: string): string {
  return pythonStrip(text.replace(/[\n\t]/g, " "));
}

/**
 * Step 3: a mark that touches a blank anywhere, or any mark where a comma stands between digits, is deleted; another becomes a blank.
 * Periods go unless a digit follows. KEEPS: the look-behind for periods is misspelt in the original and never holds one back.
 */
export function withoutPunctuation(text: string, { groups = COMMAS } = {}): string {
  const hasGroupedDigits = groups.test(text);
  let out = text;
  for (const mark of PUNCTUATION) {
    const touchesBlank = text.includes(`${mark} `) || text.includes(` ${mark}`);
    out = out.replaceAll(mark, touchesBlank || hasGroupedDigits ? "" : " ");
  }
  let left = MAX_PERIODS;
  return out.replace(/\.(?!\p{Nd})/gu, (period) => (left-- > 0 ? "" : period));
}

/** Step 4: number words to digits, articles dropped, contractions spelt out. */
export function withoutArticles(text: string): string {
  return pythonWords(text.toLowerCase())
    .map((word) => NUMBER_WORDS.get(word) ?? word)
    .filter((word) => !ARTICLES.has(word))
    .map((word) => CONTRACTIONS.get(word) ?? word)
    .join(" ");
}
