import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { CpuBackend } from "./cpu-backend.ts";
import { loadBinding } from "./load.ts";

const { binding, ...loaded } = loadBinding();
if (!binding) console.warn(`skipped: ${"reason" in loaded ? loaded.reason : ""}`);

describe.skipIf(!binding)("CpuBackend", () => {
  it("adds with every thread count", async () => {
    for (const threads of [1, 2, 5]) {
      const backend = new CpuBackend(binding!, { threads });
      const n = 100_003;
      const a = backend.wrap(
        "f32",
        Float32Array.from({ length: n }, (_, i) => i),
      );
      const b = backend.wrap("f32", new Float32Array(n).fill(0.5));
      const out = backend.alloc("f32", n);
      const operand = (storage: typeof out) => ({ storage, shape: [n], dtype: "f32" as const });
      for (let round = 0; round < 50; round++) backend.add(operand(out), operand(a), operand(b));
      const result = (await backend.read(out)) as Float32Array;
      expect(result.findIndex((value, i) => value !== i + 0.5)).toBe(-1);
    }
  });

  it("names its instruction set and threads", () => {
    const backend = new CpuBackend(binding!, { threads: 2, isa: "scalar" });
    expect(backend.description).toBe("cpu (scalar, 2 threads)");
  });

  it("refuses unknown instruction sets and wrong array sizes", () => {
    expect(() => new CpuBackend(binding!, { threads: 1, isa: "mmx" })).toThrow(/mmx/);
    const context = binding!.createContext(1, "");
    expect(() => binding!.add(context, new Float32Array(3), new Float32Array(3), new Float32Array(2))).toThrow(
      /internal: \[add\] argument 3 holds 2 elements, expected 3/,
    );
    expect(() => binding!.add(context, new Float32Array(3), new Float32Array(3), new Int32Array(3) as never)).toThrow(
      /Float32Array/,
    );
    expect(() => binding!.add({} as never, new Float32Array(1), new Float32Array(1), new Float32Array(1))).toThrow(
      /context/,
    );
  });

  it("loads in several worker threads at once", async () => {
    const path = "path" in loaded ? loaded.path : "";
    const script = `
      const native = require(${JSON.stringify(path)});
      const context = native.createContext(2, "");
      const out = new Float32Array(50000), a = new Float32Array(50000).fill(1);
      for (let i = 0; i < 100; i++) native.add(context, out, a, a);
      if (out.some((v) => v !== 2)) throw new Error("wrong sum");`;
    const codes = await Promise.all(
      [0, 1, 2].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(script, { eval: true });
            worker.on("error", reject);
            worker.on("exit", resolve);
          }),
      ),
    );
    expect(codes).toEqual([0, 0, 0]);
  });
});
