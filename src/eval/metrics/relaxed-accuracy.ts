/** Relaxed accuracy of ChartQA: numbers may be off by 5 %. Source: lmms-eval v0.3.0 `chartqa/utils.py` `relaxed_correctness`. */
import { pythonFloat } from "../../util/python-number.ts";

const TOLERANCE = 0.05;

/**
 * Whether an answer is right: numbers within 5 % of a target that is not zero, anything else equal in lower case.
 * KEEPS: "50" is not "50%", "1,000" is no number, a target of 0 is compared as text, and blanks around words count.
 */
export function isRelaxedCorrect(prediction: string, target: string): boolean {
  const answer = numberOf(prediction);
  const wanted = numberOf(target);
  if (answer !== null && wanted !== null && wanted !== 0) {
    return Math.abs(answer - wanted) / Math.abs(wanted) <= TOLERANCE;
  }
  return prediction.toLowerCase() === target.toLowerCase();
}

function numberOf(text: string): number | null {
  if (!text.endsWith("%")) return pythonFloat(text);
  const value = pythonFloat(text.replace(/%+$/, ""));
  return value === null ? null : value / 100;
}
