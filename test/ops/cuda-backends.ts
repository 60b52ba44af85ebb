/**
 * The `cuda` backend for tests: its kernels as loops, which runs everywhere, and with NVILA_TEST_GPU=1 (`npm run test:gpu`) the GPU, which then
 * must be there.
 */
import type { Backend } from "../../src/backend/backend.ts";
import { CudaBackend } from "../../src/backend/cuda/cuda-backend.ts";
import { loadCudaBinding, loadCudaBindingOnHost } from "../../src/backend/cuda/load.ts";

/** Each with its title, or the reason why it cannot run here. @throws Error when the GPU is asked for and cannot run. */
export function cudaBackends(): readonly (readonly [title: string, backend: Backend | string])[] {
  const loaded = loadCudaBindingOnHost();
  const loops = ["cuda, kernels as loops", loaded.binding ? new CudaBackend(loaded.binding) : loaded.reason] as const;
  if (process.env.NVILA_TEST_GPU !== "1") return [loops];
  const onGpu = loadCudaBinding();
  if (!onGpu.binding) throw new Error(onGpu.reason);
  return [loops, ["cuda", new CudaBackend(onGpu.binding)]];
}
