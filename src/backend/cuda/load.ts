/** Finds and loads the addon of the `cuda` backend, once. It is built on request only: `npm run build:cuda`. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../util/errors.ts";
import type { CudaBinding } from "./binding.ts";

export type CudaLoadResult = { readonly binding: CudaBinding } | { readonly binding: null; readonly reason: string };

const FOLDER = new URL(`../../../build/cuda/${process.platform}-${process.arch}/`, import.meta.url);
/** The kernels as loops, for tests without a GPU (native/cuda/device.h). */
const ON_HOST = fileURLToPath(new URL("nvila-cuda-on-host.node", FOLDER));
const ON_GPU = fileURLToPath(new URL("nvila-cuda.node", FOLDER));

let cached: CudaLoadResult | null = null;

/** The addon, or why there is none. */
export function loadCudaBinding(): CudaLoadResult {
  cached ??= tryPath(ON_GPU, "npm run build:cuda");
  return cached;
}

/** The build of the same sources that runs without a GPU, for tests. */
export function loadCudaBindingOnHost(): CudaLoadResult {
  return tryPath(ON_HOST, "npm run build:cuda -- --on-host");
}

function tryPath(path: string, build: string): CudaLoadResult {
  if (!existsSync(path)) return { binding: null, reason: `${path} does not exist. You can run \`${build}\`` };
  try {
    return { binding: createRequire(import.meta.url)(path) as CudaBinding };
  } catch (error) {
    return { binding: null, reason: `${path} does not load: ${messageOf(error)}` };
  }
}
