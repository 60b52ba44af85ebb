/**
 * `npx tsx bench/linear-gradients.ts`: a linear layer and its two gradients at sizes of small models, as fractions of the multiply-adds that
 * the same thread reaches in the same moment. One thread and processor time, so that it means something on a busy machine too.
 */
import { CpuBackend } from "../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../src/backend/cpu/load.ts";
import { elementCount } from "../src/core/shape.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { busyness, describeMachine } from "./machine.ts";
import { median } from "./median.ts";

const SIZES: readonly (readonly [T: number, C: number, M: number])[] = [
  [2048, 256, 256],
  [2048, 256, 1024],
  [2048, 1024, 256],
  [2048, 320, 864],
  [2048, 864, 320],
  [192, 320, 4096],
  [8192, 320, 320],
];
const ROUNDS = 12;

const loaded = loadBinding();
if (!loaded.binding) throw new Error(loaded.reason);
const backend = new CpuBackend(loaded.binding, { threads: 1 });

const noise = (shape: readonly number[]): Tensor =>
  Tensor.from(
    backend,
    "f32",
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 0.73)),
    shape,
  );

/** Operations per second of processor time. */
function rate(flops: number, body: () => void): number {
  const start = process.cpuUsage();
  body();
  const { user, system } = process.cpuUsage(start);
  return (1e6 * flops) / (user + system);
}

const rows = SIZES.map(([T, C, M]) => {
  const [x, weight, y, dx] = [noise([T, C]), noise([M, C]), noise([T, M]), noise([T, C])];
  const gradient = noise([M, C]);
  const flops = 2 * T * C * M;
  // Long enough for the clock of processor time.
  const repeat = Math.max(1, Math.ceil(2e9 / flops));
  const bodies = {
    forward: () => backend.linear(y, x, weight, null),
    "to inputs": () => backend.training.linearBackwardInput(dx, y, weight),
    "to weights": () => backend.training.linearBackwardWeight(gradient, null, y, x),
  };
  const fractions: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, body] of Object.entries(bodies)) {
      const counted = { flops: 0 };
      const start = process.cpuUsage();
      counted.flops = backend.peakFma(1e6);
      const { user, system } = process.cpuUsage(start);
      const peak = (1e6 * counted.flops) / (user + system);
      const own = rate(repeat * flops, () => {
        for (let i = 0; i < repeat; i++) body();
      });
      fractions[name] = [...(fractions[name] ?? []), own / peak];
    }
  }
  const shares = Object.entries(fractions).map(([name, values]) => [name, Number(median(values).toFixed(2))]);
  return { T, C, M, ...Object.fromEntries(shares) };
});
console.table(rows);
const machine = describeMachine();
console.log(JSON.stringify({ bench: "linear-gradients", machine, busy: busyness(machine), rows }));
