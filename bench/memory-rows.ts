/** Operations that are bound by memory, at SigLIP's width and the activations of eight tiles. Work is the bytes read and written. */
import type { Backend, Operand } from "../src/backend/backend.ts";
import { elementCount, type Shape } from "../src/core/shape.ts";
import { randomF32, randomWeights } from "./random-data.ts";
import type { BenchRow, RowGroup } from "./row.ts";

const [T, C] = [8192, 1152];
const ROWS = [T, C];
/** Eight tiles as two rows of four: [tiles, row, column, channel]. */
const TILES = [8, 32, 32, C];

export const MEMORY_ROWS: readonly RowGroup[] = [
  [row("add", [ROWS, ROWS], ROWS, (backend, out, [a, b]) => backend.add(out, a, b))],
  [
    row("layer norm", [ROWS], ROWS, (backend, out, [x], [w, b]) => backend.layerNorm(out, x, w, b, 1e-6)),
    row("rms norm", [ROWS], ROWS, (backend, out, [x], [w]) => backend.rmsNorm(out, x, w, 1e-6)),
  ],
  [
    row("gelu tanh", [ROWS], ROWS, (backend, out, [x]) => backend.gelu(out, x, "tanh")),
    row("gelu erf", [ROWS], ROWS, (backend, out, [x]) => backend.gelu(out, x, "erf")),
    row("swiglu", [ROWS, ROWS], ROWS, (backend, out, [gate, up]) => backend.swiglu(out, gate, up)),
  ],
  [ropeRow()],
  [
    row("space to channel 2×2", [TILES], [8, 16, 16, 4 * C], (backend, out, [x]) => backend.spaceToChannel(out, x, 2)),
    row("space to channel 3×3", [TILES], [8, 11, 11, 9 * C], (backend, out, [x]) => backend.spaceToChannel(out, x, 3)),
  ],
  [
    row("area resize ×3", [[32, 32, C]], [96, 96, C], (backend, out, [x]) => backend.areaResize(out, x)),
    row("area resize ÷2", [[96, 96, C]], [48, 48, C], (backend, out, [x]) => backend.areaResize(out, x)),
    row("pool 4×2×2", [TILES], [2, 16, 16, C], (backend, out, [x]) => backend.pool3d(out, x, [4, 2, 2])),
  ],
  [
    row("stitch tiles", [TILES], [64, 128, C], (backend, out, [x]) => backend.stitchTiles(out, x, 2, 4)),
    row("split tiles", [[64, 128, C]], TILES, (backend, out, [x]) => backend.splitTiles(out, x, 2, 4)),
    row("concat columns", [ROWS, ROWS], [T, 2 * C], (backend, out, parts) => backend.concatColumns(out, parts)),
  ],
];

type Call = (backend: Backend, out: Operand, inputs: readonly Operand[], weights: readonly [Operand, Operand]) => void;

/** f32 inputs and output, two bf16 vectors of C as weights (too short to count). */
function row(name: string, inputs: readonly Shape[], out: Shape, call: Call): BenchRow {
  return {
    name: `${name} ${inputs.map((shape) => shape.join("×")).join(", ")}`,
    limit: "read",
    work: 4 * [...inputs, out].reduce((sum, shape) => sum + elementCount(shape), 0),
    setup(backend) {
      const operands = inputs.map((shape) => operand(backend, shape));
      const vector = (): Operand => ({
        storage: backend.wrap("bf16", randomWeights("bf16", C)),
        shape: [C],
        dtype: "bf16",
      });
      const weights = [vector(), vector()] as const;
      const result: Operand = { storage: backend.alloc("f32", elementCount(out)), shape: out, dtype: "f32" };
      return () => call(backend, result, operands, weights);
    },
  };
}

function ropeRow(): BenchRow {
  const shape = [T, 12, 128];
  const base = row("rope", [shape], shape, () => {});
  return {
    ...base,
    setup(backend) {
      const x = operand(backend, shape);
      const positions: Operand = {
        storage: backend.wrap(
          "i32",
          Int32Array.from({ length: T }, (_, t) => t),
        ),
        shape: [T],
        dtype: "i32",
      };
      const out: Operand = { storage: backend.alloc("f32", elementCount(shape)), shape, dtype: "f32" };
      return () => backend.rope(out, x, positions, 1e6);
    },
  };
}

function operand(backend: Backend, shape: Shape): Operand {
  return { storage: backend.wrap("f32", randomF32(elementCount(shape))), shape, dtype: "f32" };
}
