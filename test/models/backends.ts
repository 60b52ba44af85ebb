/** Runs model tests on every backend. Another backend is one more name in DEVICES. Skips print their reason. */
import { describe, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend, type DeviceName } from "../../src/backend/registry.ts";
import { messageOf } from "../../src/util/errors.ts";
import { cudaBackends } from "../ops/cuda-backends.ts";

const DEVICES: readonly DeviceName[] = ["reference", "cpu"];

registerCpuBackend();

/** One `describe` per backend that can run here. */
export function describeOnBackends(name: string, body: (backend: Backend) => void): void {
  describeOn(
    name,
    DEVICES.map((device) => [device, backendOrReason(device)]),
    body,
  );
}

/** The same with the backend that only learns. */
export function describeOnLearningBackends(name: string, body: (backend: Backend) => void): void {
  describeOnBackends(name, body);
  describeOn(name, cudaBackends(), body);
}

/** One `describe` per backend that is none of the reasons why one cannot run; those are printed. */
export function describeOn(
  name: string,
  backends: readonly (readonly [device: string, backend: Backend | string])[],
  body: (backend: Backend) => void,
): void {
  for (const [device, backend] of backends) {
    const title = `${name} (${device})`;
    if (typeof backend !== "string") describe(title, () => body(backend));
    else {
      console.warn(`skipped "${title}": ${backend}`);
      describe.skip(title, () => {
        it("needs the backend", () => {});
      });
    }
  }
}

/** The backend, or why it cannot run here. */
export function backendOrReason(device: DeviceName): Backend | string {
  try {
    return createBackend(device, {}, () => {});
  } catch (error) {
    return messageOf(error);
  }
}
