/** Scores one response by the metric of its example. */
import { pythonStrip } from "../util/python-strip.ts";
import { anls } from "./metrics/anls.ts";
import { isExactMatch, leadingLetter } from "./metrics/exact-match.ts";
import { isRelaxedCorrect } from "./metrics/relaxed-accuracy.ts";
import { parsePredictedSpan, parseSpan, temporalIou } from "./metrics/temporal.ts";
import type { EvalExample, Verdict } from "./task.ts";

/** Scores from this value on are not listed as wrong. */
export const RIGHT_SCORE = 0.5;

/** @param response As the model wrote it; for spans of time with times in seconds in place of time tokens. */
export function evaluateAnswer(example: EvalExample, response: string): Verdict {
  const { answers, metric } = example;
  const text = pythonStrip(response);
  switch (metric) {
    case "anls":
      return { score: anls(answers, text), parsed: text };
    case "relaxed":
      return { score: answers.some((answer) => isRelaxedCorrect(text, answer)) ? 1 : 0, parsed: text };
    case "exact": {
      const isRight = answers.some((answer) =>
        isExactMatch(text, answer, { ignoreCase: true, ignorePunctuation: true }),
      );
      return { score: isRight ? 1 : 0, parsed: text };
    }
    case "choice": {
      const letter = leadingLetter(text);
      const isRight = answers.some((answer) =>
        isExactMatch(letter, answer, { ignoreCase: true, ignorePunctuation: true }),
      );
      return { score: isRight ? 1 : 0, parsed: /^\(?[A-Z]\)?\.?$/i.test(letter) ? letter : null };
    }
    case "iou": {
      const duration = example.durationSeconds ?? 0;
      const wanted = parsePredictedSpan(answers[0], duration);
      const given = parseSpan(text, duration);
      return { score: temporalIou(wanted, given ?? [0, duration]), parsed: given === null ? null : given.join(" – ") };
    }
    default:
      return metric satisfies never;
  }
}
