/** The tape apart from arithmetic: whose memory lives how long, views and copies, what recomputing keeps, and what it refuses. */
import { describe, expect, it } from "vitest";
import { trackMemory } from "../../test/engine/track-memory.ts";
import type { Backend } from "../backend/backend.ts";
import { ReferenceBackend } from "../backend/reference/reference-backend.ts";
import { linearCrossEntropy } from "./losses.ts";
import * as ops from "./ops.ts";
import { foldLayers, scope } from "./scope.ts";
import { type ActivationPolicy, Tape } from "./tape.ts";
import { Tensor } from "./tensor.ts";

const WIDTH = 4;

const tensor = (backend: Backend, values: readonly number[], shape: readonly number[]): Tensor =>
  Tensor.from(backend, "f32", Float32Array.from(values), shape);

function parameter(backend: Backend, seed: number): { weight: Tensor; gradient: Tensor } {
  const values = Array.from({ length: WIDTH * WIDTH }, (_, i) => Math.sin(seed + i));
  const zeros = tensor(backend, new Array(WIDTH * WIDTH).fill(0), [WIDTH * WIDTH]);
  return { weight: tensor(backend, values, [WIDTH, WIDTH]), gradient: zeros };
}

/** Four layers of linear and gelu, then a loss; returns gradients and what was kept. */
async function train(policy: ActivationPolicy): Promise<{ gradients: number[][]; savedBytes: number; left: number }> {
  const backend = new ReferenceBackend();
  const live = trackMemory(backend);
  const layers = [1, 2, 3, 4].map((seed) => parameter(backend, seed));
  const head = parameter(backend, 9);
  const all = [...layers, head];
  const tape = new Tape(backend, new Map(all.map(({ weight, gradient }) => [weight.root, gradient])), policy);
  const x = tensor(backend, [0.1, -0.4, 0.3, 0.7, 0.2, 0.5, -0.6, 0.9], [2, WIDTH]);
  let savedBytes = 0;
  scope(() => {
    tape.record(() => {
      const steps = foldLayers(x, layers, ({ weight }, h) => {
        const inside = scope(() => ops.gelu(ops.linear(h, weight, null), "tanh"));
        return ops.add(inside, ops.gelu(inside, "erf"));
      });
      let step = steps.next();
      while (!step.done) step = steps.next();
      linearCrossEntropy(step.value, head.weight, { targets: Int32Array.of(1, 3), weights: Float32Array.of(0.5, 0.5) });
    });
    savedBytes = tape.savedBytes;
    tape.backward();
  });
  const gradients = await Promise.all(all.map(async ({ gradient }) => [...(await gradient.readF32())]));
  return { gradients, savedBytes, left: live.size };
}

describe("tape", () => {
  it("gives every activation back once backward has read it", async () => {
    expect((await train("keep")).left).toBe(0);
    expect((await train("recompute")).left).toBe(0);
  });

  it("recomputes to the same gradients from the inputs of the layers alone", async () => {
    const kept = await train("keep");
    const again = await train("recompute");
    expect(again.gradients).toEqual(kept.gradients);
    expect(kept.gradients.every((gradient) => gradient.some((value) => value !== 0))).toBe(true);
    // Per layer: x, linear, gelu are kept; or x alone.
    expect(again.savedBytes * 2).toBeLessThan(kept.savedBytes);
  });

  it("frees what it kept when there is no backward pass", () => {
    const backend = new ReferenceBackend();
    const live = trackMemory(backend);
    const { weight, gradient } = parameter(backend, 1);
    const tape = new Tape(backend, new Map([[weight.root, gradient]]));
    const x = tensor(backend, [1, 2, 3, 4], [1, WIDTH]);
    scope(() => {
      tape.record(() => scope(() => ops.gelu(ops.linear(x, weight, null), "erf")));
      expect(tape.savedBytes).toBeGreaterThan(0);
      tape.close();
    });
    expect(live.size).toBe(0);
  });

  it("adds what flows through views, copies and repeated use", async () => {
    const backend = new ReferenceBackend();
    const x = tensor(backend, [1, 2, 3, 4, 5, 6], [3, 2]);
    const dx = tensor(backend, [0, 0, 0, 0, 0, 0], [6]);
    const tape = new Tape(backend, new Map([[x.root, dx]]));
    const y = tape.record(() =>
      ops.concatRows([x.rows(1, 3), x.reshape([2, 3]).reshape([3, 2]).rows(0, 1), x.rows(2, 3)]),
    );
    const upstream = tensor(backend, [1, 10, 2, 20, 3, 30, 4, 40], [4, 2]);
    tape.pass(y, upstream);
    tape.backward();
    expect([...(await dx.readF32())]).toEqual([3, 30, 1, 10, 2 + 4, 20 + 40]);
  });

  it("records nothing that leads to no parameter", () => {
    const backend = new ReferenceBackend();
    const live = trackMemory(backend);
    const { weight, gradient } = parameter(backend, 1);
    const frozen = parameter(backend, 2).weight;
    const tape = new Tape(backend, new Map([[weight.root, gradient]]), "recompute");
    const x = tensor(backend, [1, 2, 3, 4], [1, WIDTH]);
    scope(() => {
      tape.record(() => {
        const steps = foldLayers(x, [frozen, frozen], (own, h) => ops.gelu(ops.linear(h, own, null), "erf"));
        while (!steps.next().done);
      });
      expect(tape.savedBytes).toBe(0);
    });
    expect(live.size).toBe(0);
  });

  it("refuses operations without a gradient", () => {
    const backend = new ReferenceBackend();
    const { weight, gradient } = parameter(backend, 1);
    const tape = new Tape(backend, new Map([[weight.root, gradient]]));
    const target = tensor(backend, new Array(16).fill(0), [WIDTH, WIDTH]);
    expect(() => tape.record(() => ops.scatterRows(target, Int32Array.of(0, 1, 2, 3), weight))).toThrow(/scatter_rows/);
  });
});
