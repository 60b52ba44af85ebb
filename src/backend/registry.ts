/** Chooses a backend by name. Node-only backends register themselves through `registerBackend` at their entry point. */
import { DeviceError } from "../util/errors.ts";
import type { Backend, Int4Activations } from "./backend.ts";
import { ReferenceBackend } from "./reference/reference-backend.ts";

/** What computes; "auto" is the fastest that runs here. */
export type DeviceName = "auto" | "cpu" | "cuda" | "reference";

export interface BackendOptions {
  /** Worker threads of the backend. Default: what the machine can run at once. */
  readonly threads?: number;
  /** What activations are rounded to in front of an int4 weight. Default: int8. */
  readonly int4Activations?: Int4Activations;
  /** `cuda`: products round their operands to TF32 (11 bits) and run on tensor cores. Default: no. */
  readonly tf32?: boolean;
  /** `cpu`: products of f32 matrices round their operands to bf16 (8 bits) and run on AMX tiles, which it must have. Default: no. */
  readonly bf16?: boolean;
  /** Freed memory that is kept for reuse, in bytes. Default: 128 MiB. */
  readonly pooledBytes?: number;
}

export interface BackendFactory {
  readonly name: Exclude<DeviceName, "auto">;
  /** Higher wins for `device: "auto"`. */
  readonly rank: number;
  /** The reason why this backend cannot run here, or null when it can. */
  unavailable(): string | null;
  create(options: BackendOptions): Backend;
}

const reference: BackendFactory = {
  name: "reference",
  rank: 0,
  unavailable: () => null,
  create: (options) => new ReferenceBackend(options),
};

const factories = new Map<string, BackendFactory>([[reference.name, reference]]);

export function registerBackend(factory: BackendFactory): void {
  factories.set(factory.name, factory);
}

/**
 * @param onFallback Called once with the reason when "auto" had to pass over a faster backend.
 * @throws DeviceError when the named backend is unknown or cannot run here.
 */
export function createBackend(
  device: DeviceName,
  options: BackendOptions,
  onFallback: (reason: string) => void,
): Backend {
  if (device !== "auto") {
    const factory = factories.get(device);
    if (!factory) {
      throw new DeviceError("device", `expected one of auto, ${[...factories.keys()].join(", ")}, got "${device}"`);
    }
    const reason = factory.unavailable();
    if (reason) throw new DeviceError("device", `"${device}" cannot run here: ${reason}`);
    return factory.create(options);
  }
  for (const factory of [...factories.values()].sort((a, b) => b.rank - a.rank)) {
    const reason = factory.unavailable();
    if (reason === null) return factory.create(options);
    onFallback(`"${factory.name}" cannot run here: ${reason}`);
  }
  throw new DeviceError("device", "no backend is registered");
}
