/** The addon's edge: arguments that do not fit together become errors of ours, never reads or writes outside arrays. */
import { describe, expect, it } from "vitest";
import { loadBinding } from "./load.ts";

const { binding } = loadBinding();
const f32 = (length: number): Float32Array => new Float32Array(length);
const i32 = (...values: number[]): Int32Array => Int32Array.from(values);

describe.skipIf(!binding)("arguments of native operations (skipped without the native addon)", () => {
  const native = binding!;
  const context = native?.createContext(2, "");

  /** What the addon says; each case is one wrong thing in a call that is right otherwise. */
  const CASES: Readonly<Record<string, readonly [message: RegExp, call: () => void][]>> = {
    layerNorm: [
      [
        /argument 1 holds 5 elements, expected 6/,
        () => native.layerNorm(context, f32(5), f32(6), f32(3), 0, f32(3), 0, 1e-6, 2, 3),
      ],
      [/argument 3 holds 2/, () => native.layerNorm(context, f32(6), f32(6), f32(2), 0, f32(3), 0, 1e-6, 2, 3)],
      [/argument 5 holds 4/, () => native.layerNorm(context, f32(6), f32(6), f32(3), 0, f32(4), 0, 1e-6, 2, 3)],
      [/Uint16Array/, () => native.layerNorm(context, f32(6), f32(6), f32(3), 1, f32(3), 0, 1e-6, 2, 3)],
      [/no size/, () => native.layerNorm(context, f32(6), f32(6), f32(3), 0, f32(3), 0, 1e-6, -2, 3)],
    ],
    rmsNorm: [[/argument 2 holds 7/, () => native.rmsNorm(context, f32(6), f32(7), f32(3), 0, 1e-6, 2, 3)]],
    rope: [
      [/D is odd/, () => native.rope(context, f32(3), f32(3), i32(0), 1e4, 1, 1, 3)],
      [/argument 3 holds 1/, () => native.rope(context, f32(8), f32(8), i32(0), 1e4, 2, 1, 4)],
    ],
    gelu: [
      [/argument 2 holds 2/, () => native.geluTanh(context, f32(3), f32(2))],
      [/argument 2 holds 2/, () => native.geluErf(context, f32(3), f32(2))],
    ],
    swiglu: [[/argument 3 holds 4/, () => native.swiglu(context, f32(3), f32(3), f32(4))]],
    embedding: [
      [/id 5 is not in the table/, () => native.embedding(context, f32(4), i32(0, 5), f32(10), 0, 2, 5, 2)],
      [/id -1 is not in the table/, () => native.embedding(context, f32(4), i32(-1, 0), f32(10), 0, 2, 5, 2)],
    ],
    patchEmbed: [
      [
        /argument 11 must be positive/,
        () => native.patchEmbed(context, f32(2), f32(12), f32(6), 0, f32(2), 0, f32(2), 0, 1, 2, 0, 2),
      ],
      [
        /argument 7 holds 3/,
        () => native.patchEmbed(context, f32(2), f32(12), f32(24), 0, f32(2), 0, f32(3), 0, 1, 2, 2, 2),
      ],
    ],
    spaceToChannel: [
      [/argument 6 must be positive/, () => native.spaceToChannel(context, f32(4), f32(4), 1, 2, 1, 0)],
      [/argument 1 holds 4 elements, expected 16/, () => native.spaceToChannel(context, f32(4), f32(9), 1, 3, 1, 2)],
    ],
    areaResize: [
      [/argument 1 holds 4 elements, expected 6/, () => native.areaResize(context, f32(4), f32(4), 2, 2, 1, 3, 2)],
    ],
    pool3d: [
      [/argument 9 must be positive/, () => native.pool3d(context, f32(8), f32(8), 2, 2, 2, 1, 1, 1, 0)],
      [/argument 1 holds 8 elements, expected 4/, () => native.pool3d(context, f32(8), f32(8), 2, 2, 2, 1, 2, 1, 1)],
    ],
    "stitchTiles and splitTiles": [
      [/\[stitchTiles\] argument 2 holds 7/, () => native.stitchTiles(context, f32(8), f32(7), 1, 2, 2, 2, 1)],
      [/\[splitTiles\] argument 1 holds 9/, () => native.splitTiles(context, f32(9), f32(8), 1, 2, 2, 2, 1)],
      [/argument 1 holds 8/, () => native.stitchTiles(context, f32(8), f32(8), 2 ** 30, 2 ** 30, 2 ** 30, 2, 1)],
    ],
    copyColumns: [
      [/not inside the output/, () => native.copyColumns(context, f32(8), f32(4), 2, 2, 4, 3)],
      [/argument 1 holds 7/, () => native.copyColumns(context, f32(7), f32(4), 2, 2, 4, 2)],
    ],
  };

  for (const [op, cases] of Object.entries(CASES)) {
    it(op, () => {
      for (const [message, call] of cases) expect(call).toThrow(message);
    });
  }
});
