/** Muon against its definition in f64: the polynomial on the singular values, the momentum, and which parameters it leaves to AdamW. */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { isHiddenMatrix, Muon, orthogonal } from "../../src/train/muon.ts";
import { AdamW } from "../../src/train/optimizer.ts";
import type { Parameter } from "../../src/train/parameters.ts";
import { cudaBackends } from "../ops/cuda-backends.ts";

const { binding } = loadBinding();
const backends: [string, Backend][] = [["reference", new ReferenceBackend()]];
if (binding) backends.push(["cpu", new CpuBackend(binding, { threads: 2 })]);
for (const [title, backend] of cudaBackends()) {
  if (typeof backend !== "string") backends.push([title, backend]);
  else console.warn(`skipped "muon on ${title}": ${backend}`);
}

const noise = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(12.9898 * (i + 1) + seed) * 2));

/** Five rounds of a x + b (x xᵀ) x + c (x xᵀ)² x, written out. */
function slowOrthogonal(values: readonly number[], rows: number, columns: number): number[] {
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) + 1e-7;
  let x = values.map((value) => value / norm);
  const product = (a: number[], b: number[], n: number, k: number, m: number): number[] =>
    Array.from({ length: n * m }, (_, at) => {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a[Math.floor(at / m) * k + i] * b[i * m + (at % m)];
      return sum;
    });
  for (let round = 0; round < 5; round++) {
    const transposed = Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]);
    const square = product(x, transposed, rows, columns, rows);
    const cubic = product(square, x, rows, rows, columns);
    const fifth = product(square, cubic, rows, rows, columns);
    x = x.map((value, i) => 3.4445 * value - 4.775 * cubic[i] + 2.0315 * fifth[i]);
  }
  return x;
}

function parameter(backend: Backend, name: string, shape: readonly number[], seed: number): Parameter {
  const size = shape.reduce((a, b) => a * b, 1);
  const tensorOf = (from: number): Tensor => Tensor.from(backend, "f32", Float32Array.from(noise(size, from)), shape);
  const tensor = tensorOf(seed);
  return { name, component: "llm", tensor, master: tensor, gradient: tensorOf(seed + 1), decays: false };
}

const SHAPES = [
  [6, 6],
  [5, 17],
  [17, 5],
  [64, 48],
] as const;

describe.each(backends)("muon on %s", (_, backend) => {
  it.each(SHAPES)("makes a matrix of %i × %i orthogonal as the polynomial says", async (rows, columns) => {
    const values = noise(rows * columns, 3);
    const made = await orthogonal(Tensor.from(backend, "f32", Float32Array.from(values), [rows, columns]));
    const wanted = slowOrthogonal(values, rows, columns);
    for (const [i, value] of wanted.entries()) expect(Math.abs(made[i] - value)).toBeLessThan(2e-4);
  });

  it("leaves zeros zero", async () => {
    const made = await orthogonal(Tensor.from(backend, "f32", new Float32Array(12), [3, 4]));
    expect([...made].every((value) => value === 0)).toBe(true);
  });

  it("moves hidden matrices by their momentum, two steps, and the rest as AdamW", async () => {
    const matrix = parameter(backend, "llm.model.layers.0.mlp.up_proj.weight", [8, 4], 1);
    const table = parameter(backend, "llm.model.embed_tokens.weight", [8, 4], 5);
    const before = [...(await matrix.tensor.readF32())];
    const gradient = [...(await matrix.gradient.readF32())];
    const muon = new Muon();
    await muon.step([matrix, table], () => 0.01);
    await muon.step([matrix, table], () => 0.01);
    let momentum = gradient.map(() => 0);
    let wanted = before;
    for (let step = 0; step < 2; step++) {
      momentum = momentum.map((m, i) => 0.95 * m + gradient[i]);
      const direction = slowOrthogonal(
        gradient.map((g, i) => g + 0.95 * momentum[i]),
        8,
        4,
      );
      wanted = wanted.map((value, i) => value - 0.01 * 0.2 * Math.sqrt(8) * direction[i]);
    }
    const after = await matrix.tensor.readF32();
    for (const [i, value] of wanted.entries()) expect(Math.abs(after[i] - value)).toBeLessThan(1e-5);
    expect(Object.keys(muon.momentsOf(matrix))).toEqual(["m"]);

    const alone = parameter(backend, "llm.model.embed_tokens.weight", [8, 4], 5);
    const adamw = new AdamW({ beta2: 0.95 });
    await adamw.step([alone], () => 0.01);
    await adamw.step([alone], () => 0.01);
    expect(await table.tensor.readF32()).toEqual(await alone.tensor.readF32());
    expect(muon.stepCount).toBe(2);
  });

  it("changes nothing when a gradient is not finite", async () => {
    const matrix = parameter(backend, "llm.model.layers.0.mlp.up_proj.weight", [4, 4], 1);
    const before = await matrix.tensor.readF32();
    backend.copy(matrix.gradient.storage, 0, backend.wrap("f32", Float32Array.of(Number.NaN)));
    expect(await new Muon().step([matrix], () => 0.01)).toBeNaN();
    expect(await matrix.tensor.readF32()).toEqual(before);
  });
});

it("tables, heads, kernels and vectors are not hidden matrices", () => {
  const [, backend] = backends[0];
  const isHidden = (name: string, shape: readonly number[]): boolean =>
    isHiddenMatrix(parameter(backend, name, shape, 1));
  expect(isHidden("llm.model.layers.1.self_attn.q_proj.weight", [4, 4])).toBe(true);
  expect(isHidden("mm_projector.layers.2.weight", [4, 4])).toBe(true);
  expect(isHidden("llm.lm_head.weight", [4, 4])).toBe(false);
  expect(isHidden("llm.model.embed_tokens.weight", [4, 4])).toBe(false);
  expect(isHidden("vision_tower.vision_model.embeddings.position_embedding.weight", [4, 4])).toBe(false);
  expect(isHidden("vision_tower.vision_model.embeddings.patch_embedding.weight", [4, 3, 2, 2])).toBe(false);
  expect(isHidden("llm.model.norm.weight", [4])).toBe(false);
});
