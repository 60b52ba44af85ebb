/** Runs model tests on every backend. Another backend is one more name in DEVICES. Skips print their reason. */
import { describe, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend, type DeviceName } from "../../src/backend/registry.ts";
import { messageOf } from "../../src/util/errors.ts";

const DEVICES: readonly DeviceName[] = ["reference", "cpu"];

registerCpuBackend();

/** One `describe` per backend that can run here. */
export function describeOnBackends(name: string, body: (backend: Backend) => void): void {
  for (const device of DEVICES) {
    const title = `${name} (${device})`;
    const backend = backendOrReason(device);
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
