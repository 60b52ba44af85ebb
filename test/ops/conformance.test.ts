/** Every instruction set of the native addon against the reference, on the table of op cases. */
import { describe, it } from "vitest";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { runOpCases } from "./run-op-cases.ts";

for (const isa of INSTRUCTION_SETS) {
  const backends = cpuBackends(isa);
  if (typeof backends !== "string") runOpCases(`cpu ${isa}`, backends);
  else {
    console.warn(`skipped "op cases on cpu ${isa}": ${backends}`);
    describe.skip(`op cases on cpu ${isa}`, () => {
      it("needs the backend", () => {});
    });
  }
}
