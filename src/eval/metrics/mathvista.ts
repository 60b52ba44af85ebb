/** Answers of MathVista: what can be read without a judge, and the form in which they are compared. Source: VILA `mathvista_utils` at b760c34. */
import { pythonFloatText, pythonRound } from "../../util/python-float.ts";
import { pythonFloat, pythonInt } from "../../util/python-number.ts";
import { pythonStrip } from "../../util/python-strip.ts";
import { optionLetters } from "./choice-search.ts";
import { levenshtein } from "./edit-distance.ts";

export interface MathVistaQuestion {
  readonly question_type: string;
  readonly answer_type: string;
  readonly choices: readonly string[];
}

/** The answer in a response when rules suffice; null when a judge would have to read it. */
export function extractMathVistaAnswer(response: string, doc: MathVistaQuestion): string | null {
  if (response === "") return "";
  if (doc.question_type === "multi_choice" && doc.choices.includes(response)) return response;
  if (doc.answer_type === "integer") return pythonInt(response)?.toString() ?? null;
  if (doc.answer_type !== "float") return null;
  const value = pythonFloat(response);
  return value === null ? null : pythonFloatText(value);
}

export interface MathVistaPrecision {
  /** Decimals of a float answer. */
  readonly decimals: number | null;
  /** Whether the data set stores that number as a float, as the published one does. Default false. */
  readonly isFloat?: boolean;
}

/**
 * The form in which an extracted answer is compared with the gold answer; null when it cannot be brought into it.
 * KEEPS: a precision stored as a float (1.0) makes the original fail on every float answer.
 */
export function normaliseMathVistaAnswer(
  extraction: string,
  doc: MathVistaQuestion,
  precision: MathVistaPrecision,
): string | null {
  if (doc.question_type === "multi_choice") return chosenText(pythonStrip(extraction), doc.choices);
  if (doc.answer_type === "list") return extraction;
  const value = pythonFloat(extraction);
  if (value === null) return null;
  if (doc.answer_type === "integer") return Number.isFinite(value) ? BigInt(Math.trunc(value)).toString() : null;
  if (doc.answer_type !== "float") return extraction;
  if (precision.isFloat) return null;
  return pythonFloatText(pythonRound(value, precision.decimals ?? 0));
}

function chosenText(extraction: string, choices: readonly string[]): string {
  const letter = /\(([a-zA-Z])\)/.exec(extraction)?.[1].toUpperCase() ?? extraction;
  const index = optionLetters(choices.length).indexOf(letter);
  if (index >= 0) return choices[index];
  const distances = choices.map((choice) => levenshtein(letter, choice));
  return choices[distances.indexOf(Math.min(...distances))] ?? letter;
}
