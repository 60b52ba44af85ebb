/** Soft accuracy against several annotators: TextVQA, VQAv2, VizWiz. Source: lmms-eval v0.3.0 `textvqa/utils.py`, `vqav2/utils.py`. */
import { pythonCapitalize } from "../../util/python-text.ts";
import { cleanVqaAnswer, normaliseVqaAnswer, withoutArticles, withoutPunctuation } from "./evalai-normaliser.ts";

/** Mean over annotators of min(1, how many of the *others* said the same / 3). Texts are compared as they are. */
export function softAccuracy(answers: readonly string[], prediction: string): number {
  if (answers.length === 0) return 0;
  const equal = answers.filter((answer) => answer === prediction).length;
  const total = answers.reduce((sum, answer) => sum + Math.min(1, (equal - (answer === prediction ? 1 : 0)) / 3), 0);
  return total / answers.length;
}

/** TextVQA and VizWiz: both sides normalised. */
export function textVqaAccuracy(answers: readonly string[], prediction: string): number {
  return softAccuracy(answers.map(normaliseVqaAnswer), normaliseVqaAnswer(prediction));
}

/** VQAv2. KEEPS: human answers stay raw (but for line ends) when all ten are the same. */
export function vqav2Accuracy(answers: readonly string[], prediction: string): number {
  const cleaned = answers.map(cleanVqaAnswer);
  const answer = normaliseVqaAnswer(prediction);
  if (new Set(cleaned).size <= 1) return softAccuracy(cleaned, answer);
  const again = (text: string): string => withoutArticles(withoutPunctuation(text));
  return softAccuracy(cleaned.map(again), again(answer));
}

/** TextVQA's prompt. KEEPS: capitalising the question lowers every later letter, brand names included. */
export function textVqaPrompt(question: string): string {
  return `${pythonCapitalize(question)}\nAnswer the question using a single word or phrase.`;
}
