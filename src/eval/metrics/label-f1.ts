/** F1 of yes-or-no labels and its mean over classes (CheXpert), as scikit-learn computes it. */

/** F1 of class 1; 0 when it is neither present nor predicted. */
export function binaryF1(truth: readonly number[], prediction: readonly number[]): number {
  let hits = 0;
  let errors = 0;
  for (const [i, value] of truth.entries()) {
    if (value === 1 && prediction[i] === 1) hits++;
    else if (value === 1 || prediction[i] === 1) errors++;
  }
  return hits === 0 ? 0 : (2 * hits) / (2 * hits + errors);
}

/** Plain mean of the classes' F1. */
export function macroF1(classes: readonly { truth: readonly number[]; prediction: readonly number[] }[]): number {
  return classes.reduce((sum, { truth, prediction }) => sum + binaryF1(truth, prediction), 0) / classes.length;
}
