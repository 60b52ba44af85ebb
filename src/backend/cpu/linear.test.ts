/** What the table of op cases cannot say of the native linear: how its arguments are refused. Its results are held in test/ops/. */
import { describe, expect, it } from "vitest";
import { loadBinding } from "./load.ts";

const { binding } = loadBinding();

describe.skipIf(!binding)("native linear (skipped without the native addon)", () => {
  it("refuses arrays of wrong sizes and types", () => {
    const context = binding!.createContext(1, "");
    const linear = (out: number, x: number, weight: Float32Array | Uint16Array, bias: Float32Array | null = null) =>
      binding!.linear(context, new Float32Array(out), new Float32Array(x), weight, 0, bias, 0, 1, 3, 2);
    expect(() => linear(2, 3, new Float32Array(6))).not.toThrow();
    expect(() => linear(2, 3, new Float32Array(5))).toThrow(
      /internal: \[linear\] argument 3 holds 5 elements, expected 6/,
    );
    expect(() => linear(2, 3, new Uint16Array(6))).toThrow(/Float32Array/);
    expect(() => linear(1, 3, new Float32Array(6))).toThrow(/argument 1 holds 1 elements, expected 2/);
    expect(() => linear(2, 4, new Float32Array(6))).toThrow(/argument 2 holds 4 elements, expected 3/);
    expect(() => linear(2, 3, new Float32Array(6), new Float32Array(3))).toThrow(/argument 5/);
  });
});
