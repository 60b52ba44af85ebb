/** Makes the `cpu` backend known to the registry. Called by the Node entry points; does nothing at import. */
import { availableParallelism } from "node:os";
import { assert } from "../../util/assert.ts";
import { DeviceError, messageOf } from "../../util/errors.ts";
import { registerBackend } from "../registry.ts";
import { BF16_SET } from "./binding.ts";
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
    create: ({ threads = availableParallelism(), int4Activations = "int8", pooledBytes, bf16 = false }) => {
      const { binding } = loadBinding();
      assert(binding !== null, "a backend that is unavailable was created");
      if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
        throw new DeviceError("device", `threads must be an integer in 1 … 1024, got ${threads}`);
      }
      try {
        return new CpuBackend(binding, { threads, int4Activations, pooledBytes, ...(bf16 && { isa: BF16_SET }) });
      } catch (error) {
        if (bf16) {
          const needs = "products in bf16 need a processor with AMX, under Linux, and this is none";
          throw new DeviceError("device", `${needs}. You can leave --bf16 out`, { cause: error });
        }
        throw new DeviceError("device", `"cpu" cannot start: ${messageOf(error)}`, { cause: error });
      }
    },
  });
}
