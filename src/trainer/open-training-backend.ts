/** What computes the steps of a run: a backend that learns, opened by name. */
import { availableParallelism } from "node:os";
import type { Backend } from "../backend/backend.ts";
import { registerCpuBackend } from "../backend/cpu/register.ts";
import { registerCudaBackend } from "../backend/cuda/register.ts";
import { createBackend, type DeviceName } from "../backend/registry.ts";
import { RequestError } from "../util/errors.ts";

/** Activations of a micro-batch come and go: memory that went back to the system would have to be cleared again by it. */
const POOLED_BYTES = 3 * 2 ** 30;

export interface ComputeOptions {
  /** Default "auto", which is never "cuda". */
  readonly device?: DeviceName | undefined;
  /** Threads that compute, of each replica. Default: as many as the machine runs at once, shared out. */
  readonly threads?: number | undefined;
  /** `cuda`: products round their operands to TF32 (11 bits) and run on tensor cores. Default: no. */
  readonly tf32?: boolean | undefined;
  /** `cpu` with AMX: products round their operands to bf16 (8 bits) and run on its tiles. Default: no. */
  readonly bf16?: boolean | undefined;
  /**
   * Copies of the model that learn side by side, each in a thread, from its share of the samples in batches of the recipe's size. Each has its own
   * `decodeThreads`; they share `keepBytes`. Default 1.
   */
  readonly replicas?: number;
  readonly onWarning?: (message: string) => void;
}

/** @throws DeviceError when it cannot run here, RequestError for options that do not go together. */
export function openTrainingBackend({
  device = "auto",
  threads,
  tf32 = false,
  bf16 = false,
  replicas = 1,
  onWarning = () => {},
}: ComputeOptions): Backend {
  registerCpuBackend();
  registerCudaBackend();
  if (tf32 && device !== "cuda") {
    throw new RequestError("train", `expected --device cuda beside --tf32, got ${device}. You can leave --tf32 out`);
  }
  if (bf16 && device !== "cpu" && device !== "auto") {
    throw new RequestError("train", `expected --device cpu beside --bf16, got ${device}. You can leave --bf16 out`);
  }
  const shared = replicas > 1 ? Math.max(1, Math.floor(availableParallelism() / replicas)) : undefined;
  const own = threads ?? shared;
  const options = { pooledBytes: POOLED_BYTES, tf32, bf16, ...(own !== undefined && { threads: own }) };
  // What must round is not left to whatever else runs here.
  return createBackend(bf16 ? "cpu" : device, options, (reason) =>
    onWarning(`computing without the native addon, which is very slow: ${reason}`),
  );
}
