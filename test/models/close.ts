/** Comparison of tensors with golden ones: one number per failure, with its place and both values. */
import { expect } from "vitest";
import type { Tensor } from "../../src/tensor/tensor.ts";

/**
 * Absolute bounds for a float32 implementation, from the goldens' README: a float64 recomputation deviates by at most 1.2e-5 in the
 * first group and 8e-5 in the second. No relative term: a wrong SigLIP eps shows up as only 1.3e-4.
 */
export const TOLERANCE = { features: 1e-4, hidden: 1e-3 } as const;

/** Checks shape and values. `tolerance` is absolute. */
export async function expectTensorClose(
  label: string,
  actual: Tensor,
  expected: Tensor,
  tolerance: number,
): Promise<void> {
  expect(`${label} [${actual.shape.join(", ")}]`).toBe(`${label} [${expected.shape.join(", ")}]`);
  expectValuesClose(label, await actual.readF32(), await expected.readF32(), tolerance);
}

export function expectValuesClose(
  label: string,
  actual: Float32Array,
  expected: Float32Array,
  tolerance: number,
): void {
  expect(actual.length, `${label}: number of elements`).toBe(expected.length);
  let worst = 0;
  let at = 0;
  for (let i = 0; i < actual.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (distance <= worst) continue;
    worst = distance;
    at = i;
    if (Number.isNaN(distance)) break;
  }
  if (worst <= tolerance) return;
  expect.fail(
    `${label}: element ${at} is ${actual[at]}, expected ${expected[at]} (off by ${worst}, bound ${tolerance})`,
  );
}
