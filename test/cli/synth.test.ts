/** `nvila synth` as a user runs it: what it writes and prints, and what it refuses. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { nvila } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-synth-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("nvila synth", () => {
  it("writes a family in three splits and tells how much", async () => {
    const out = join(folder, "charts");
    const result = await nvila(["synth", "charts", out, "--count", "4", "--seed", "3"]);
    expect(result.stderr).toMatch(
      /charts +train +4 pictures +\d+ questions\n +charts +validation +1 .*\n +charts +test +1 /,
    );
    expect([result.code, result.stdout]).toEqual([0, ""]);
    expect(readdirSync(out).sort()).toEqual(["charts", "manifest.json", "registry.json"]);
    expect(readFileSync(join(out, "charts/train.jsonl"), "utf8").trim().split("\n").length).toBe(4);
  });

  it("prints the manifest as JSON, the same for one seed", async () => {
    const run = async (name: string) =>
      nvila(["synth", "all", join(folder, name), "--count", "1", "--split", "test", "--json"]);
    const [a, b] = [await run("a"), await run("b")];
    const { out, families } = JSON.parse(a.stdout) as { out: string; families: Record<string, unknown> };
    expect(out).toBe(join(folder, "a"));
    expect(Object.keys(families).length).toBe(11);
    expect((JSON.parse(b.stdout) as { families: unknown }).families).toEqual(families);
  });

  it("refuses what it cannot do", async () => {
    const family = await nvila(["synth", "poems", join(folder, "x")]);
    expect(family.stderr).toMatch(/Allowed choices are primers, letters, words, lines, pages, documents, charts/);
    const taken = await nvila(["synth", "scenes", folder, "--count", "1"]);
    expect(taken.stderr).toMatch(/nvila: \[synth\] expected a folder that does not exist or is empty/);
    expect([family.code, taken.code]).toEqual([2, 2]);
    const stopped = await nvila(["synth", "scenes", join(folder, "stopped"), "--count", "5000"], {
      interruptAt: "scenes train",
      timeoutMs: 60_000,
    });
    expect(stopped.code).toBe(130);
    expect(existsSync(join(folder, "stopped"))).toBe(false);
  });
});
