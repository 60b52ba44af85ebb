/** What the operations that move and average maps must do whatever the sizes, stated without their definitions. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import * as ops from "../../src/tensor/ops.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeOnBackends } from "../models/backends.ts";
import { noiseTensor } from "./inputs.ts";

const few = fc.integer({ min: 1, max: 4 });
const side = fc.integer({ min: 1, max: 7 });
const channels = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 40 }));

function constant(backend: Backend, shape: Shape, value: number): Tensor {
  return Tensor.from(backend, "f32", new Float32Array(elementCount(shape)).fill(value), shape);
}

/** Compares element by element; quicker than `toEqual` by far. */
function expectSame(actual: HostArray, expected: ArrayLike<number>, tolerance = 0): void {
  expect(actual.length).toBe(expected.length);
  const at = actual.findIndex((value, i) => !(Math.abs(value - expected[i]) <= tolerance));
  if (at >= 0) expect.fail(`element ${at} is ${actual[at]}, expected ${expected[at]} ± ${tolerance}`);
}

/** Asserts for random sizes; the seed is fixed, so a failure comes back. */
async function forAll<T>(arbitrary: fc.Arbitrary<T>, check: (sizes: T) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(arbitrary, check), { numRuns: 50, seed: 2026 });
}

describeOnBackends("layout", (backend) => {
  it("split undoes stitch and stitch undoes split", async () => {
    await forAll(fc.tuple(few, few, side, side, channels), async ([gy, gx, h, w, C]) => {
      const tiles = noiseTensor(backend, [gy * gx, h, w, C], 1);
      const map = ops.stitchTiles(tiles, gy, gx);
      expect(map.shape).toEqual([gy * h, gx * w, C]);
      expectSame(await ops.splitTiles(map, gy, gx).read(), await tiles.read());
      expectSame(await ops.stitchTiles(ops.splitTiles(map, gy, gx), gy, gx).read(), await map.read());
    });
  });

  it("every pixel of a map is the pixel of its tile", async () => {
    await forAll(fc.tuple(few, few, side, side, channels), async ([gy, gx, h, w, C]) => {
      const tiles = noiseTensor(backend, [gy * gx, h, w, C], 2);
      const [map, source] = [await ops.stitchTiles(tiles, gy, gx).readF32(), await tiles.readF32()];
      const expected = map.map((_, at) => {
        const [row, column, c] = [Math.floor(at / (gx * w * C)), Math.floor(at / C) % (gx * w), at % C];
        const tile = Math.floor(row / h) * gx + Math.floor(column / w);
        return source[((tile * h + (row % h)) * w + (column % w)) * C + c];
      });
      expectSame(map, expected);
    });
  });

  it("every channel of space-to-channel is one neighbour's, or padding", async () => {
    await forAll(fc.tuple(few, side, channels, few), async ([B, s, C, k]) => {
      const x = noiseTensor(backend, [B, s, s, C], 3);
      const packed = ops.spaceToChannel(x, k);
      const t = Math.ceil(s / k);
      expect(packed.shape).toEqual([B, t, t, k * k * C]);
      const source = await x.readF32();
      const expected = new Float32Array(elementCount(packed.shape)).map((_, at) => {
        const [c, dx, dy] = [at % C, Math.floor(at / C) % k, Math.floor(at / (C * k)) % k];
        const pixel = Math.floor(at / (C * k * k));
        const [row, column] = [(Math.floor(pixel / t) % t) * k + dy, (pixel % t) * k + dx];
        if (row >= s || column >= s) return 0;
        return source[((Math.floor(pixel / (t * t)) * s + row) * s + column) * C + c];
      });
      expectSame(await packed.read(), expected);
    });
  });

  it("columns side by side keep their rows", async () => {
    await forAll(fc.tuple(side, fc.array(channels, { minLength: 1, maxLength: 5 })), async ([T, widths]) => {
      const parts = widths.map((C, i) => noiseTensor(backend, [T, C], 4 + i));
      const whole = await ops.concatColumns(parts).readF32();
      const rows = await Promise.all(parts.map((part) => part.readF32()));
      const expected = Array.from({ length: T }, (_, t) =>
        rows.flatMap((values, i) => [...values.subarray(t * widths[i], (t + 1) * widths[i])]),
      ).flat();
      expectSame(whole, expected);
    });
  });

  it("a resize by area leaves constants, its own size and, for whole factors, the mean", async () => {
    await forAll(fc.tuple(side, side, channels, side, side), async ([h, w, C, height, width]) => {
      const flat = await ops.areaResize(constant(backend, [h, w, C], 0.7), height, width).read();
      expectSame(flat, new Float32Array(height * width * C).fill(0.7), 1e-6);
      const x = noiseTensor(backend, [h, w, C], 9);
      expectSame(await ops.areaResize(x, h, w).read(), await x.read());
      // Enlarged by whole factors and back: means of equal values.
      expectSame(await ops.areaResize(ops.areaResize(x, 3 * h, 2 * w), h, w).read(), await x.read(), 1e-6);
    });
  });

  it("pooling leaves constants, keeps the mean, and a window of one is no change", async () => {
    await forAll(fc.tuple(few, few, few, few, few, few, channels), async ([F, h, w, pt, ph, pw, C]) => {
      const shape = [F * pt, h * ph, w * pw, C];
      const flat = await ops.pool3d(constant(backend, shape, -0.3), [pt, ph, pw]).read();
      expectSame(flat, new Float32Array(F * h * w * C).fill(-0.3), 1e-6);
      const x = noiseTensor(backend, shape, 10);
      expectSame(await ops.pool3d(x, [1, 1, 1]).read(), await x.read());
      const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
      const pooled = await ops.pool3d(x, [pt, ph, pw]).readF32();
      expect(mean(pooled)).toBeCloseTo(mean(await x.readF32()), 6);
    });
  });
});
