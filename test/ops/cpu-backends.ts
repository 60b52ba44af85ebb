/** The native addon's backends for op tests: one list per instruction set that this machine runs. */
import type { BF16_SET, InstructionSet } from "../../src/backend/cpu/binding.ts";
import { CpuBackend, type CpuOptions } from "../../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { messageOf } from "../../src/util/errors.ts";

/** With one, two and three threads: fewer, as many and more than most test machines run at once. Or the reason why there is none. */
export function cpuBackends(
  isa: InstructionSet | typeof BF16_SET,
  options: Pick<CpuOptions, "int4Activations"> = {},
): readonly CpuBackend[] | string {
  const loaded = loadBinding();
  const { binding } = loaded;
  if (!binding) return loaded.reason;
  try {
    return [1, 2, 3].map((threads) => new CpuBackend(binding, { ...options, threads, isa }));
  } catch (error) {
    return messageOf(error);
  }
}
