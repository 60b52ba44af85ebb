/**
 * Packed weights beyond the table of op cases: 16-bit activations, codes that are used again, weights that no kernel takes, damaged bytes.
 */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { CpuBackend } from "../../src/backend/cpu/cpu-backend.ts";
import { type CpuPacked, packedFromBytes } from "../../src/backend/cpu/cpu-packed.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { dequantize, type QuantizedWeight } from "../../src/core/quantized-weight.ts";
import * as ops from "../../src/tensor/ops.ts";
import { PackedTensor } from "../../src/tensor/packed-tensor.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { UnsupportedError, WeightsError } from "../../src/util/errors.ts";
import { relativeError } from "../quant/golden-arrays.ts";
import { BOUNDS } from "../tolerance.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { noiseSource } from "./inputs.ts";
import { int4Weight, int8Weight } from "./packed-cases.ts";
import { compare } from "./run-op-cases.ts";

function noise(length: number, seed = 1): Float32Array {
  const next = noiseSource(seed);
  return Float32Array.from({ length }, next);
}

function rows(backend: Backend, T: number, C: number, seed = 1): Tensor {
  return Tensor.from(backend, "f32", noise(T * C, seed), [T, C]);
}

function product(backend: Backend, x: Tensor, weight: QuantizedWeight): Promise<Float32Array> {
  return ops.linear(x, PackedTensor.from(backend, weight), null).readF32();
}

const { binding } = loadBinding();

const LONG = ["int16", "int24"] as const;

describe.skipIf(!binding).each(LONG)(
  "%s activations in front of int4 weights (skipped without the native addon)",
  (int4Activations) => {
    const reference = new ReferenceBackend({ int4Activations });
    for (const isa of INSTRUCTION_SETS) {
      it.skipIf(typeof cpuBackends(isa) === "string")(
        `${isa} equals the definition, with every number of threads`,
        async () => {
          for (const T of [1, 2, 3, 4, 5, 9, 40, 70]) {
            for (const group of [32, 64, 128]) {
              const weight = int4Weight([21, 384], group);
              const expected = await product(reference, rows(reference, T, 384, T), weight);
              const [one, two] = await Promise.all(
                [1, 2].map((threads) => {
                  const backend = new CpuBackend(binding!, { threads, isa, int4Activations });
                  return product(backend, rows(backend, T, 384, T), weight);
                }),
              );
              expect(compare(one, expected, expected, BOUNDS.packed)).toBe(null);
              expect(two).toEqual(one);
            }
          }
        },
      );
    }

    it("is far better than int8", async () => {
      const weight = int4Weight([64, 1024], 128);
      const x = rows(reference, 8, 1024);
      const exact = await ops.linear(x, Tensor.from(reference, "f32", dequantize(weight), [64, 1024]), null).readF32();
      const error = relativeError(await product(reference, x, weight), exact);
      expect(error).toBeLessThan(int4Activations === "int16" ? 3e-5 : 3e-7);
      const int8 = new ReferenceBackend();
      const error8 = relativeError(await product(int8, rows(int8, 8, 1024), weight), exact);
      expect(error8).toBeGreaterThan(1e-3);
      expect(error8).toBeLessThan(1e-2);
    });
  },
);

describe.skipIf(!binding)("codes that are used again (skipped without the native addon)", () => {
  const backend = new CpuBackend(binding!, { threads: 2 });
  const weights: readonly QuantizedWeight[] = [
    int8Weight([24, 256]),
    int8Weight([40, 256]),
    int4Weight([24, 256], 128),
    int4Weight([24, 256], 32),
    int4Weight([40, 256], 128),
  ];

  it("gives what quantising anew gives, in any order", async () => {
    for (const T of [1, 5, 30]) {
      for (const first of weights) {
        for (const second of weights) {
          const x = rows(backend, T, 256);
          const expected = await product(backend, rows(backend, T, 256), second);
          await product(backend, rows(backend, T, 256, 2), first);
          expect(await product(backend, x, first)).toEqual(await product(backend, rows(backend, T, 256), first));
          await product(backend, x, first);
          expect(await product(backend, x, second)).toEqual(expected);
          expect(await product(backend, x, second)).toEqual(expected);
        }
      }
    }
  });

  it("does not outlive a change of the rows", async () => {
    const x = ops.concatRows([rows(backend, 4, 256)]);
    const before = await product(backend, x, weights[0]);
    ops.copyInto(x, 0, rows(backend, 4, 256, 3));
    const after = await product(backend, x, weights[0]);
    expect(after).not.toEqual(before);
    expect(after).toEqual(await product(backend, rows(backend, 4, 256, 3), weights[0]));
  });

  it("does not outlive a product without rows", async () => {
    const x = rows(backend, 3, 256);
    const expected = await product(backend, x, weights[0]);
    const none = ops.linear(rows(backend, 0, 256), PackedTensor.from(backend, weights[0]), null);
    expect(none.shape).toEqual([0, 24]);
    expect(await product(backend, x, weights[0])).toEqual(expected);
  });
});

describe("weights that no kernel takes", () => {
  const backends: readonly Backend[] = [
    new ReferenceBackend(),
    ...(binding ? [new CpuBackend(binding, { threads: 1 })] : []),
  ];
  for (const backend of backends) {
    it(`${backend.name} names a way out`, () => {
      expect(() => backend.pack(int4Weight([4, 48], 16))).toThrow(UnsupportedError);
      expect(() => backend.pack(int4Weight([4, 48], 16))).toThrow(/groups of 16.*groups of 128/);
    });
    it(`${backend.name} checks rows and widths`, () => {
      const packed = PackedTensor.from(backend, int8Weight([8, 16]));
      expect(() => packed.rows(0, 9)).toThrow("[rows] expected 0, end ≤ 8, got 0, 9");
      expect(() => packed.rows(1, 4)).toThrow("[rows]");
      expect(() => ops.linear(rows(backend, 2, 15), packed, null)).toThrow("[linear] inner sizes differ");
      expect(() => ops.embedding(Int32Array.of(8), packed)).toThrow("[embedding] expected ids in 0..7, got 8");
    });
  }
});

describe.skipIf(!binding)("packed bytes (skipped without the native addon)", () => {
  const backend = new CpuBackend(binding!, { threads: 1 });
  const packed = backend.pack(int4Weight([20, 128], 64)) as CpuPacked;

  it("can be taken up again, at any address", async () => {
    const moved = new Uint8Array(packed.byteLength + 1);
    moved.set(packed.bytes, 1);
    const again = packedFromBytes(moved.subarray(1), "test");
    expect({ ...again, bytes: null }).toEqual({ ...packed, bytes: null });
    const x = rows(backend, 3, 128);
    const expected = await ops.linear(x, new PackedTensor(backend, packed), null).readF32();
    expect(await ops.linear(x, new PackedTensor(backend, again), null).readF32()).toEqual(expected);
  });

  it("are refused when they are damaged or not whole", () => {
    const bytes = packed.bytes;
    expect(() => packedFromBytes(bytes.subarray(0, 63), "file")).toThrow(WeightsError);
    expect(() => packedFromBytes(bytes.subarray(0, -1), "file")).toThrow(/file holds \d+ of \d+ bytes/);
    for (let at = 0; at < 40; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x41;
      const run = (): void => {
        const weight = packedFromBytes(damaged, "file");
        backend.linearPacked(ops.empty(backend, "f32", [1, 20]), rows(backend, 1, 128), weight, null);
      };
      expect(run, `byte ${at}`).toThrow(/WeightsError|layout|no packed weight|expected|elements/);
    }
  });
});
