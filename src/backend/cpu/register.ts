/** Makes the `cpu` backend known to the registry. Called by the Node entry points; does nothing at import. */
import { availableParallelism } from "node:os";
import { assert } from "../../util/assert.ts";
import { DeviceError, messageOf } from "../../util/errors.ts";
import { registerBackend } from "../registry.ts";
import { CpuBackend } from "./cpu-backend.ts";
import { loadBinding } from "./load.ts";

/** Threads default to what the machine can run at once. Needs the native addon; without it "auto" falls back to `reference`. */
export function registerCpuBackend(): void {
  registerBackend({
    name: "cpu",
    rank: 10,
    unavailable: () => {
      const loaded = loadBinding();
      return loaded.binding ? null : loaded.reason;
    },
    create: ({ threads = availableParallelism(), int4Activations = "int8", pooledBytes }) => {
      const { binding } = loadBinding();
      assert(binding !== null, "a backend that is unavailable was created");
      if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
        throw new DeviceError("device", `threads must be an integer in 1 … 1024, got ${threads}`);
      }
      try {
        return new CpuBackend(binding, { threads, int4Activations, pooledBytes });
      } catch (error) {
        throw new DeviceError("device", `"cpu" cannot start: ${messageOf(error)}`, { cause: error });
      }
    },
  });
}
