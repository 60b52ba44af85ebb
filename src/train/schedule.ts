/**
 * Learning rate over the steps of a run: a linear rise over the first ceil(ratio · T) steps, then half a cosine down to 0.
 * Source: transformers get_cosine_schedule_with_warmup.
 */

/** What the learning rate of step `step` (0 first) is multiplied with. The first of a run with a warm-up is 0. */
export function cosineWithWarmup(step: number, totalSteps: number, warmupRatio: number): number {
  const warmup = Math.ceil(warmupRatio * totalSteps);
  if (step < warmup) return step / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, totalSteps - warmup);
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
}
