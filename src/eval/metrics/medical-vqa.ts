/** Accuracy of VQA-RAD and of PathVQA's yes-or-no questions. Source: VILA-M3 `metric_radvqa.py`, `metric_pathvqa.py` at fc8c5a7. */
import { pythonStrip } from "../../util/python-strip.ts";

/** Fraction of references (id → answer) whose prediction is equal in lower case without blanks at its ends; a missing one is wrong. */
export function radVqaAccuracy(
  references: ReadonlyMap<string, string>,
  predictions: ReadonlyMap<string, string>,
): number {
  const normalised = (text: string): string => pythonStrip(text.toLowerCase());
  const hits = [...references].filter(([id, answer]) => {
    const given = predictions.get(id);
    return given !== undefined && normalised(given) === normalised(answer);
  });
  return hits.length / references.size;
}
