/** Open answers of MMMU. Source: lmms-eval v0.3.0 `mmmu/utils.py` `parse_open_response`, `eval_open`. */
import { pythonRound2 } from "../../util/python-float.ts";
import { pythonFloat } from "../../util/python-number.ts";
import { pythonStrip } from "../../util/python-strip.ts";
import { pythonLength, stripCharacters } from "../../util/python-text.ts";

const INDICATORS = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "];
const TRIVIAL: ReadonlySet<string> = new Set([":", ",", ".", "!", "?", ";", "'"]);
const D = "\\p{Nd}";
/** A boundary of words as Python sees it: letters and digits of all scripts. */
const BOUNDARY = "(?:(?<=[\\p{L}\\p{N}_])(?![\\p{L}\\p{N}_])|(?<![\\p{L}\\p{N}_])(?=[\\p{L}\\p{N}_]))";
const NUMBERS = [
  new RegExp(`-?${BOUNDARY}${D}{1,3}(?:,${D}{3})+${BOUNDARY}`, "gu"),
  new RegExp(`-?${D}+(?:\\.${D}+)?[eE][+-]?${D}+`, "gu"),
  new RegExp(`-?(?:${D}+\\.${D}+|\\.${D}+|${D}+${BOUNDARY})(?![eE][+-]?${D}+)(?![,\\p{Nd}])`, "gu"),
];

/** What an answer may mean: texts in lower case and numbers rounded to two decimals, each once. */
export function parseOpenAnswer(response: string): (string | number)[] {
  const keys = keyPhrases(response);
  return [...new Set([...keys, ...keys.flatMap(numbersIn)].flatMap(normaliseOpenAnswer))];
}

/** Whether one of the meanings of an answer is the gold answer, or (for texts) contains it. */
export function isOpenAnswerCorrect(meanings: readonly (string | number)[], gold: string | readonly string[]): boolean {
  const wanted = (typeof gold === "string" ? [gold] : gold).flatMap(normaliseOpenAnswer);
  return meanings.some((meaning) =>
    wanted.some((answer) => {
      if (typeof meaning === "string") return typeof answer === "string" && meaning.includes(answer);
      return answer === meaning;
    }),
  );
}

/** A number rounded to two decimals, or text in lower case; one character becomes two texts, so that it only matches as a word's edge. */
export function normaliseOpenAnswer(text: string): (string | number)[] {
  const trimmed = pythonStrip(text);
  const value = pythonFloat(trimmed.replaceAll(",", ""));
  if (value !== null) return [pythonRound2(value)];
  const lower = trimmed.toLowerCase();
  return pythonLength(lower) === 1 ? [` ${lower}`, `${lower} `] : [lower];
}

/** Numbers as written: with thousands separators, in scientific form, plain. */
export function numbersIn(text: string): string[] {
  return NUMBERS.flatMap((pattern) => text.match(pattern) ?? []);
}

function keyPhrases(response: string): string[] {
  const whole = stripCharacters(pythonStrip(response), ".").toLowerCase();
  const lines = whole.split("\n");
  const phrases = lines.flatMap((line, i) => {
    const indicators = i === lines.length - 1 ? [...INDICATORS, "="] : INDICATORS;
    let shortest = "";
    for (const indicator of indicators.filter((text) => line.includes(text))) {
      const tail = pythonStrip(line.slice(line.lastIndexOf(indicator) + indicator.length));
      if (shortest === "" || pythonLength(tail) < pythonLength(shortest)) shortest = tail;
    }
    return shortest === "" || TRIVIAL.has(shortest) ? [] : [shortest];
  });
  return phrases.length > 0 ? phrases : [whole];
}
