import { describe, expect, it } from "vitest";
import {
  assertQuantizedWeight,
  dequantize,
  type Int4Weight,
  type Int8Weight,
  isQuantizedWeight,
  quantizedBytes,
  quantizedRows,
} from "./quantized-weight.ts";

const int8: Int8Weight = {
  format: "int8",
  shape: [2, 3],
  codes: Int8Array.of(-127, 0, 127, 1, 2, 3),
  scales: Float32Array.of(0.5, 2),
};
/** Two rows of two groups of two. */
const int4: Int4Weight = {
  format: "int4",
  shape: [2, 4],
  groupSize: 2,
  codes: Uint8Array.of(0x10, 0xf8, 0x21, 0x43),
  scales: Float32Array.of(1, 0.5, 2, 4),
  zeros: Uint8Array.of(0, 8, 1, 15),
};

describe("quantised weights", () => {
  it("mean code times scale, low nibble first", () => {
    expect([...dequantize(int8)]).toEqual([-63.5, 0, 63.5, 2, 4, 6]);
    expect([...dequantize(int4)]).toEqual([0, 1, 0, 3.5, 0, 2, -48, -44]);
  });

  it("give rows that share memory", () => {
    for (const weight of [int8, int4]) {
      const row = quantizedRows(weight, 1, 2);
      assertQuantizedWeight(row);
      expect(row.codes.buffer).toBe(weight.codes.buffer);
      expect([...dequantize(row)]).toEqual([...dequantize(weight)].slice(weight.shape[1]));
    }
  });

  it("know their size and themselves", () => {
    expect(quantizedBytes(int8)).toBe(6 + 8);
    expect(quantizedBytes(int4)).toBe(4 + 16 + 4);
    expect(isQuantizedWeight(int4)).toBe(true);
    expect(isQuantizedWeight({ dtype: "f32", shape: [1] })).toBe(false);
    expect(() => assertQuantizedWeight({ ...int4, scales: int4.scales.subarray(1) })).toThrow("internal");
    expect(() => quantizedRows(int8, 1, 3)).toThrow("internal");
  });
});
