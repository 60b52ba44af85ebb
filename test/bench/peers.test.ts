/** bench/peers from the command line. Runs that need the peers skip where these are not installed. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PeerRow } from "../../bench/peers/result.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MISSING = !existsSync(join(ROOT, "bench/peers/node_modules/node-llama-cpp"))
  ? "the peers are not installed (cd bench/peers && npm install --ignore-scripts)"
  : loadBinding().binding
    ? null
    : "the native addon was not built";
if (MISSING) console.warn(`skipped "a smoke run of the peers": ${MISSING}`);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-peers-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["--import", "tsx", "bench/peers/main.ts", "--dir", folder, ...args], {
    cwd: ROOT,
    encoding: "utf8",
  });
}

describe("bench/peers", () => {
  it("says how it is used, and what it does not know", () => {
    const help = run("--help");
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/^Usage: .*main\.ts/);
    const wrong = run("--only", "answers,speed");
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('expected --only to be answers, streams, tower, block, picture, load, got "speed"');
    expect(run("--rounds", "0").stderr).toContain('expected --rounds to be a whole number in 1..1024, got "0"');
    expect(readdirSync(folder)).toEqual([]);
  });

  it.skipIf(MISSING !== null)(
    "runs every group in the tiny shape, ends in one line of JSON, and cleans up",
    () => {
      const { status, stdout, stderr } = run("--shape", "tiny", "--rounds", "1", "--force");
      expect(stderr).not.toContain("failed");
      expect(status).toBe(0);
      const lines = stdout.trimEnd().split("\n");
      const { rows, versions } = JSON.parse(lines[lines.length - 1]) as { rows: PeerRow[]; versions: object };
      expect(Object.keys(versions)).toEqual(["node-llama-cpp", "onnxruntime-node"]);
      expect(lines).toHaveLength(rows.length + 3); // machine, header, rows, JSON
      expect(new Set(rows.map(({ name }) => name)).size).toBe(13);
      for (const { ratio, samples } of rows) {
        expect(ratio).toBeGreaterThan(0);
        for (const values of Object.values(samples)) expect(values.every((value) => value > 0)).toBe(true);
      }
      expect(run("--shape", "tiny", "--clean").status).toBe(0);
      expect(readdirSync(folder)).toEqual([]);
    },
    600_000, // seconds on a quiet machine
  );
});
