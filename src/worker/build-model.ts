/** From the files of a checkpoint to a model on a backend: what happens alike in the engine's thread and without one. */
import type { Backend, Int4Activations } from "../backend/backend.ts";
import { registerCpuBackend } from "../backend/cpu/register.ts";
import { type BackendOptions, createBackend, type DeviceName } from "../backend/registry.ts";
import { Weights } from "../checkpoint/weights.ts";
import type { CheckpointFiles } from "../io/checkpoint-files.ts";
import { withPackedCopy } from "../io/packed-copy.ts";
import type { NvilaModelConfig } from "../models/nvila/nvila-model.ts";
import { NvilaModel, type NvilaTokens } from "../models/nvila/nvila-model.ts";
import type { QuantizeOptions } from "../quant/quantize-plan.ts";
import { type ModelParts, quantizedParts } from "./quantize-at-load.ts";

/** How a model is built and what it runs on. Plain data. */
export interface BuildOptions {
  readonly device: DeviceName;
  /** Null: what the machine can run at once. */
  readonly threads: number | null;
  readonly quantize: QuantizeOptions | null;
  /** What activations are rounded to in front of int4 weights. */
  readonly int4Activations: Int4Activations;
}

/** @throws DeviceError when the device is unknown or cannot run here. */
export function openBackend(
  { device, threads, int4Activations }: BuildOptions,
  onWarning: (message: string) => void,
): Backend {
  registerCpuBackend();
  const options: BackendOptions = { int4Activations, ...(threads === null ? {} : { threads }) };
  return createBackend(device, options, (reason) =>
    onWarning(`computing without the native addon, which is very slow: ${reason}`),
  );
}

/** @throws WeightsError, ConfigError when weights and configuration do not fit; RequestError when they cannot be quantised as asked. */
export function buildModel(
  files: CheckpointFiles,
  config: NvilaModelConfig,
  tokens: NvilaTokens,
  backend: Backend,
  { quantize, threads }: BuildOptions,
  onWarning: (message: string) => void,
): NvilaModel {
  const parts = quantize
    ? quantizedParts(files, config, quantize, threads ?? undefined)
    : { weights: withPackedCopy(files, backend, onWarning), config };
  return new NvilaModel(weightsOf(parts, backend), parts.config, tokens);
}

function weightsOf({ weights }: ModelParts, backend: Backend): { llm: Weights; vision: Weights; projector: Weights } {
  const { llm, vision, projector } = weights;
  return {
    llm: new Weights(llm, backend),
    vision: new Weights(vision, backend),
    projector: new Weights(projector, backend),
  };
}
