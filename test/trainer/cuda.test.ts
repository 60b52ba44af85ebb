/** A run of the trainer on the `cuda` backend against one on `cpu`: pictures of a batch encoded together, both optimisers, saved and gone on with. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { train } from "../../src/trainer/train.ts";
import { cudaBackends } from "../ops/cuda-backends.ts";
import { recipe, SmallRuns } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-cuda-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const runs = new SmallRuns(folder);
beforeAll(() => runs.prepare());

describe.each(cudaBackends())("a run on %s", (title, backend) => {
  it.skipIf(typeof backend === "string")("has the losses of the processor, stopped in between", async () => {
    if (typeof backend === "string") return;
    const own = recipe({ optimizer: "muon", epochs: 2, saveSteps: 100 });
    const expected = await runs.run("cpu", own);
    await runs.run(title, own, 3, runs.start, backend);
    const rest = await runs.run(title, own, undefined, runs.start, backend);
    expect(rest.losses).toHaveLength(3);
    for (const [i, loss] of rest.losses.entries()) expect(Math.abs(loss - expected.losses[3 + i])).toBeLessThan(1e-4);
  });
});

it("is told before anything is done when it cannot run here", async () => {
  const out = join(folder, "none");
  const broken = train(recipe(), {
    device: "cuda",
    from: runs.start,
    out,
    registry: { folder, datasets: {}, mixtures: {}, subsets: "" },
    mixture: null,
  });
  if (process.env.NVILA_TEST_GPU === "1") return void (await broken.catch(() => {}));
  await expect(broken).rejects.toThrow(/"cuda" cannot (run here|start): /);
  expect(existsSync(out)).toBe(false);
});
