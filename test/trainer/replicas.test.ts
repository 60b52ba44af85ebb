/**
 * Models that learn side by side: a meeting leaves the mean with all of them, asked for again too, and ends with a clear error when one does
 * not come; a run of two learns, leaves one model, and goes on to the same bytes after it was stopped.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Parameter } from "../../src/train/parameters.ts";
import type { LoggedStep } from "../../src/trainer/train-stage.ts";
import { type Team, WeightAverage } from "../../src/trainer/weight-average.ts";
import { recipe, SmallRuns } from "./small-run.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-replicas-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const runs = new SmallRuns(folder);
beforeAll(() => runs.prepare());

const backend = new ReferenceBackend({});
function parameter(...values: number[]): Parameter {
  const tensor = Tensor.from(backend, "f32", Float32Array.from(values), [values.length]);
  return { name: "llm.norm.weight", component: "llm", tensor, master: tensor, gradient: tensor, decays: false };
}
const valuesOf = async ({ master }: Parameter): Promise<number[]> => [...(await master.readF32())];
const team = (name: string, member: number, own: Partial<Team> = {}): Team => ({
  folder: join(folder, name),
  member,
  size: 3,
  every: 10,
  ...own,
});

describe("a meeting", () => {
  it("leaves the mean with all, and the same mean with one that comes back to it", async () => {
    const members = await Promise.all([0, 1, 2].map((i) => WeightAverage.join(team("mean", i), 25)));
    expect([0, 9, 10, 20, 24, 25].map((step) => members[0].isMeeting(step))).toEqual([
      false,
      false,
      true,
      true,
      false,
      true,
    ]);
    const weights = [parameter(1, 5), parameter(2, 5), parameter(6, -1)];
    const meet = (step: number): Promise<unknown> =>
      Promise.all(members.map((member, i) => member.meet(step, [weights[i]])));
    await meet(10);
    for (const weight of weights) expect(await valuesOf(weight)).toEqual([3, 3]);
    const back = parameter(100, 100);
    await members[1].meet(10, [back]);
    expect(await valuesOf(back)).toEqual([3, 3]);
    weights[2] = parameter(9, 0);
    await meet(20);
    expect(await valuesOf(weights[0])).toEqual([5, 2]);
    expect(readdirSync(join(folder, "mean")).filter((name) => name.startsWith("10-"))).toEqual([]);
    await meet(25);
    expect(readdirSync(join(folder, "mean")).filter((name) => name.startsWith("20-"))).toEqual([]);
  });

  it("refuses members that count otherwise, does not wait for ever nor when it was stopped, and says what cannot be written", async () => {
    const first = await WeightAverage.join(team("odd", 0, { patienceMs: 50 }), 25);
    await expect(WeightAverage.join(team("odd", 1, { every: 5 }), 25)).rejects.toThrow(/"every":5.*"every":10/);
    await expect(WeightAverage.join(team("odd", 2), 30)).rejects.toThrow(/"totalSteps":30.*"totalSteps":25/);
    await expect(first.meet(10, [parameter(1)])).rejects.toThrow(/member 1 of 3 at step 10/);
    rmSync(join(folder, "odd"), { recursive: true });
    await expect(first.meet(10, [parameter(1)])).rejects.toThrow(/\[train\] cannot write .*10-0\.safetensors/);
    const patient = await WeightAverage.join(team("stopped", 0), 25);
    const waiting = patient.meet(10, [parameter(1)], AbortSignal.timeout(50));
    await expect(waiting).rejects.toThrow(/timeout/i);
  });
});

describe("nvila train --replicas 2", () => {
  const two = { replicas: 2, averageSteps: 4 };
  const own = recipe({ epochs: 20 });
  const logged = (out: string): number[] =>
    readFileSync(join(folder, out, "all/log.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as LoggedStep).loss);

  it("learns from both halves of the data, and leaves one model", async () => {
    const { losses } = await runs.run("two", own, two);
    expect(losses).toHaveLength(40); // of 12 samples, rounded up to a batch for each
    expect(losses.at(-1)).toBeLessThan(losses[0] / 2);
    expect(readdirSync(join(folder, "two/all")).sort()).toEqual(["log.jsonl", "model"]);
    expect((await runs.run("two", own, two)).steps).toEqual([]); // finished
  });

  it("goes on to the same losses and the same bytes after it was stopped between two meetings", async () => {
    await runs.run("two, stopped", own, { ...two, stopAfter: 6 });
    expect(existsSync(join(folder, "two, stopped/all/replicas/1"))).toBe(true);
    await runs.run("two, stopped", own, two);
    expect(logged("two, stopped")).toEqual(logged("two"));
    expect(runs.weights("two, stopped").every((bytes, i) => bytes.equals(runs.weights("two")[i]))).toBe(true);
  });

  it("ends with the error of a replica that fails", async () => {
    await runs.run("two, broken", own, { ...two, stopAfter: 6 });
    rmSync(join(folder, "two, broken/all/replicas/1"), { recursive: true });
    await expect(runs.run("two, broken", own, { ...two, averageSteps: 3 })).rejects.toThrow(
      /another recipe|of all members/,
    );
  });
});
