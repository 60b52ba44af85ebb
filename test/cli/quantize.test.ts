/** `nvila quantize` as a user runs it: what it prints, and what it refuses. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { nvila } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

interface QuantizeJson {
  out: string;
  durationMs: number;
  bytesBefore: number;
  bytesAfter: number;
  parts: {
    part: string;
    bytesBefore: number;
    bytesAfter: number;
    matrices: number;
    meanRelativeError: number | null;
  }[];
}

describe("nvila quantize", () => {
  it("writes a model that answers, and tells sizes and errors", async () => {
    const out = join(space.dir, "quantised");
    const result = await nvila(["quantize", space.model, out, "--llm", "w4a16", "--vision", "w8a8"]);
    expect(result.stderr).toMatch(/llm +\S+ \S+ → \S+ \S+ +\d+ matrices, mean relative error \d+\.\d\d %, most/);
    expect(result.stderr).toMatch(/projector .* as it was/);
    expect(result.stderr).toMatch(/wrote .*quantised: .* → /);
    expect([result.code, result.stdout]).toEqual([0, ""]);
    const answer = await nvila([
      "ask",
      "-m",
      out,
      "--max-tokens",
      "2",
      space.picture,
      "What is this?",
      "--device",
      "reference",
    ]);
    expect(answer.code, answer.stderr).toBe(0);
    expect(answer.stdout.length).toBeGreaterThan(0);
  });

  it("prints one JSON document with --json", async () => {
    const out = join(space.dir, "quantised-json");
    const result = await nvila(["quantize", space.model, out, "--llm", "w8a8", "--json"]);
    expect([result.code, result.stderr]).toEqual([0, ""]);
    const report = JSON.parse(result.stdout) as QuantizeJson;
    expect(report.out).toBe(out);
    expect(report.parts.map(({ part }) => part)).toEqual(["llm", "vision", "projector"]);
    expect(report.bytesAfter).toBeLessThan(report.bytesBefore);
    expect(report.parts.reduce((sum, part) => sum + part.bytesAfter, 0)).toBe(report.bytesAfter);
    expect(report.parts[0].matrices).toBeGreaterThan(0);
    expect(report.parts[0].meanRelativeError).toBeLessThan(0.02);
    expect(report.parts[1]).toMatchObject({ matrices: 0, meanRelativeError: null });
  });

  it.each<[string, readonly string[], RegExp]>([
    ["nothing to do", [], /nothing is to be quantised.*--llm w4a16/],
    ["an unknown format", ["--llm", "q4_0"], /Allowed choices are w4a16, w8a8, none/],
    ["an unknown group size", ["--llm", "w4a16", "--group-size", "100"], /Allowed choices are 128, 64, 32/],
  ])("refuses %s with exit code 2 and writes nothing", async (_, args, message) => {
    const folder = join(space.dir, `refused-${args.join("")}`);
    mkdirSync(folder);
    const result = await nvila(["quantize", space.model, join(folder, "out"), ...args]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(message);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("refuses a folder that is in use and a model that is none", async () => {
    const used = join(space.dir, "used");
    mkdirSync(used);
    writeFileSync(join(used, "mine.txt"), "mine");
    const result = await nvila(["quantize", space.model, used, "--llm", "w8a8"]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/does not exist or is empty, got .*used with 1 entries/);
    expect(readdirSync(used)).toEqual(["mine.txt"]);
    const missing = await nvila(["quantize", join(space.dir, "no-such"), join(space.dir, "x"), "--llm", "w8a8"]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/there is no folder .*no-such/);
  });
});
