/** The `cuda` backend for tests: its kernels as loops, which runs everywhere, and with NVILA_TEST_GPU=1 (`npm run test:gpu`) the GPU. */
import type { Backend } from "../../src/backend/backend.ts";
import { CudaBackend } from "../../src/backend/cuda/cuda-backend.ts";
import { type CudaLoadResult, loadCudaBinding, loadCudaBindingOnHost } from "../../src/backend/cuda/load.ts";
import { messageOf } from "../../src/util/errors.ts";

/** Each with its title, or the reason why it cannot run here. */
export function cudaBackends(): readonly (readonly [title: string, backend: Backend | string])[] {
  const loops = ["cuda, kernels as loops", backendOf(loadCudaBindingOnHost())] as const;
  return process.env.NVILA_TEST_GPU === "1" ? [loops, ["cuda", backendOf(loadCudaBinding())]] : [loops];
}

function backendOf(loaded: CudaLoadResult): Backend | string {
  if (!loaded.binding) return loaded.reason;
  try {
    return new CudaBackend(loaded.binding);
  } catch (error) {
    return messageOf(error);
  }
}
