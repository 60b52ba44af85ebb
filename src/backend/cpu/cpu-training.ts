/**
 * Learning on the `cpu` backend: native kernels (native/kernels/*_backward.cc) for what costs time, the reference's loops on the same host
 * memory for the rest (moves and averages of maps, SigLIP's loss).
 */
import { referenceTraining } from "../reference/training/reference-training.ts";
import type { TrainingBackend } from "../training-backend.ts";

/** The operations, bound to a backend's context. */
export function cpuTraining(): TrainingBackend {
  return { ...referenceTraining };
}
