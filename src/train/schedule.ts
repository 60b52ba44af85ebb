/**
 * Learning rate over the steps of a run: a linear rise over the first ceil(ratio · T) steps, then half a cosine down to 0, or no change.
 * Source: transformers get_cosine_schedule_with_warmup, get_constant_schedule_with_warmup.
 */

/** What the learning rate of step `step` (0 first) is multiplied with. The first of a run with a warm-up is 0. */
export function cosineWithWarmup(step: number, totalSteps: number, warmupRatio: number): number {
  const warmup = warmupSteps(totalSteps, warmupRatio);
  if (step < warmup) return step / warmup;
  const progress = (step - warmup) / Math.max(1, totalSteps - warmup);
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/** The same rise, then 1. */
export function constantWithWarmup(step: number, totalSteps: number, warmupRatio: number): number {
  const warmup = warmupSteps(totalSteps, warmupRatio);
  return step < warmup ? step / warmup : 1;
}

function warmupSteps(totalSteps: number, warmupRatio: number): number {
  return Math.ceil(warmupRatio * totalSteps);
}
