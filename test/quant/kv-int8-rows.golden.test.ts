/** What backends put into int8 blocks, and read from them, against the golden file of int8 keys and values. */
import { expect, it } from "vitest";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { scatterRowsInt8 } from "../../src/tensor/ops.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { goldenTensors } from "../models/golden-tensors.ts";
import { cpuBackends } from "../ops/cpu-backends.ts";

describeGolden("int8 blocks of keys and values", (dir) => {
  const source = goldenTensors(dir, "quantisation/kv_int8/kv_int8.safetensors");
  for (const name of ["reference", ...INSTRUCTION_SETS]) {
    const found =
      name === "reference" ? [new ReferenceBackend()] : cpuBackends(name as (typeof INSTRUCTION_SETS)[number]);
    if (typeof found === "string") console.warn(`skipped int8 blocks on ${name}: ${found}`);
    it.skipIf(typeof found === "string")(`${name}: codes and scales exactly`, async () => {
      const [backend] = found as Exclude<typeof found, string>;
      for (const tensor of ["a.k", "a.v", "b.k", "b.v", "c.k", "c.v"]) {
        const [T, Hkv, D] = source.info(tensor)?.shape ?? [];
        const numbers = Tensor.from(backend, "f32", source.data(tensor), [T, Hkv, D]);
        const target = {
          codes: new Tensor(backend, backend.alloc("i8", T * Hkv * D), [T, Hkv, D]),
          scales: new Tensor(backend, backend.alloc("f32", T * Hkv), [T, Hkv]),
        };
        const places = Int32Array.from({ length: T }, (_, t) => T - 1 - t); // the other way round
        scatterRowsInt8(target, places, numbers);
        const codes = await target.codes.read();
        const scales = await target.scales.readF32();
        for (let t = 0; t < T; t++) {
          const at = T - 1 - t;
          const [row, heads] = [Hkv * D, Hkv];
          expect(codes.slice(at * row, (at + 1) * row), `${tensor} row ${t}`).toEqual(
            source.data(`${tensor}_q`).slice(t * row, (t + 1) * row),
          );
          expect(scales.slice(at * heads, (at + 1) * heads), `${tensor} row ${t}`).toEqual(
            source.data(`${tensor}_scale_f32`).slice(t * heads, (t + 1) * heads),
          );
        }
      }
    });
  }
});
