/** Reading tensors of different sizes to the same memory. */
import { expect, it } from "vitest";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { Readback } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

it("gives the values of each tensor, in one memory that grows when it must", async () => {
  const backend = new ReferenceBackend();
  const readback = new Readback();
  const read = (...values: number[]): Promise<Float32Array> =>
    readback.readAndRelease(Tensor.from(backend, "f32", Float32Array.from(values), [values.length]));
  const three = await read(1, 2, 3);
  expect([...three]).toEqual([1, 2, 3]);
  const two = await read(4, 5);
  expect([...two]).toEqual([4, 5]);
  expect(two.buffer).toBe(three.buffer);
  const four = await read(6, 7, 8, 9);
  expect([...four]).toEqual([6, 7, 8, 9]);
  expect(four.buffer).not.toBe(two.buffer);
});
