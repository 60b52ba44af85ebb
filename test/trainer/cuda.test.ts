/** A run of the trainer on the `cuda` backend against one on `cpu`: pictures of a batch encoded together, both optimisers, saved and gone on with. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadCudaBinding } from "../../src/backend/cuda/load.ts";
import { readRecipe } from "../../src/trainer/recipe.ts";
import { trainFromNothing } from "../../src/trainer/train-from-nothing.ts";
import { describeOn } from "../models/backends.ts";
import { cudaBackends } from "../ops/cuda-backends.ts";
import { recipe, SmallRuns } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-cuda-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const runs = new SmallRuns(folder);
beforeAll(() => runs.prepare());

describeOn("a run", cudaBackends(), (backend) => {
  it("has the losses of the processor, stopped in between", async () => {
    const own = recipe({ optimizer: "muon", epochs: 2, saveSteps: 100 });
    const [onCpu, onCuda] = ["cpu", "cuda"].map((name) => `${name} ${backend.description}`);
    const expected = await runs.run(onCpu, own);
    await runs.run(onCuda, own, { stopAfter: 3, backend });
    const rest = await runs.run(onCuda, own, { backend });
    expect(rest.losses).toHaveLength(3);
    for (const [i, loss] of rest.losses.entries()) expect(Math.abs(loss - expected.losses[3 + i])).toBeLessThan(1e-4);
  });
});

it.skipIf(loadCudaBinding().binding)("a device that is not built is told before anything is drawn", async () => {
  const out = join(folder, "none");
  await expect(trainFromNothing(readRecipe("tiny"), { device: "cuda", out })).rejects.toThrow(
    /"cuda" cannot run here: .*nvila-cuda\.node does not exist\. You can run `npm run build:cuda`/,
  );
  expect(existsSync(out)).toBe(false);
});
