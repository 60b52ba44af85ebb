/** Makes the `cuda` backend known to the registry. Called by what trains; does nothing at import. */
import { assert } from "../../util/assert.ts";
import { DeviceError, messageOf } from "../../util/errors.ts";
import { registerBackend } from "../registry.ts";
import { CudaBackend } from "./cuda-backend.ts";
import { loadCudaBinding } from "./load.ts";

/** Chosen by name only: "auto" never takes it. The GPU is the first one that CUDA_VISIBLE_DEVICES shows. */
export function registerCudaBackend(): void {
  registerBackend({
    name: "cuda",
    rank: -1,
    unavailable: () => {
      const loaded = loadCudaBinding();
      return loaded.binding ? null : loaded.reason;
    },
    create: ({ tf32 = false }) => {
      const { binding } = loadCudaBinding();
      assert(binding !== null, "a backend that is unavailable was created");
      try {
        return new CudaBackend(binding, tf32);
      } catch (error) {
        throw new DeviceError("device", `"cuda" cannot start: ${messageOf(error)}`, { cause: error });
      }
    },
  });
}
