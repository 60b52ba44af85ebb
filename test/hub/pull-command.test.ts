/** `nvila pull` as a user meets it: what goes to stdout and stderr, options, and Ctrl-C. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pullCommand } from "../../src/cli/commands/pull.ts";
import { TransferRate } from "../../src/cli/transfer-rate.ts";
import { tagOf } from "./fake-hub.ts";
import { Bench, COMMIT, HUB_VARIABLES, KIB, REPO_ID, sizeOf, WANTED, WEIGHTS } from "./model-repo.ts";

let bench: Bench;
let stdout = "";
let stderr = "";
beforeEach(async () => {
  bench = await Bench.open();
  process.env.HF_ENDPOINT = bench.hub.endpoint;
  process.env.HF_HOME = bench.folder;
  stdout = "";
  stderr = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    if (String(text).startsWith("nvila: ")) stderr += text; // not the progress line
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const name of HUB_VARIABLES) delete process.env[name];
  await bench.close();
});

const run = async (...args: string[]): Promise<void> => {
  await pullCommand().exitOverride().parseAsync(args, { from: "user" });
};
const snapshot = (): string => join(bench.modelDir, "snapshots", COMMIT);

describe("nvila pull", () => {
  it("prints the folder alone on stdout, and a summary on stderr", async () => {
    await run(REPO_ID);
    expect(stdout).toBe(`${snapshot()}\n`);
    expect(stderr).toMatch(/^nvila: 7 files, 990\.\d KiB; 990\.\d KiB downloaded in .* \(.*iB\/s\)\n$/);
    stdout = "";
    stderr = "";
    await run(REPO_ID);
    expect(stdout).toBe(`${snapshot()}\n`);
    expect(stderr).toMatch(/^nvila: 7 files, 990\.\d KiB; 990\.\d KiB were there\n$/);
  });

  it("prints one JSON object with --json", async () => {
    await run(`${REPO_ID}@v1.0`, "--json");
    expect(stdout).toBe(`${JSON.stringify({ snapshotDir: snapshot(), commit: COMMIT, files: WANTED })}\n`);
    expect(await readFile(join(bench.modelDir, "refs/v1.0"), "utf8")).toBe(COMMIT);
  });

  it("uses the cache alone with --offline", async () => {
    await expect(run(REPO_ID, "--offline")).rejects.toThrow(
      /not in the cache .* You can run `nvila pull test-org\/tiny-model`/,
    );
    await run(REPO_ID, "--revision", "v1.0");
    bench.hub.seen.length = 0;
    await run(REPO_ID, "--offline", "--revision", "v1.0");
    expect(bench.hub.seen).toEqual([]);
  });

  it("warns on stderr when the hub is away", async () => {
    await run(REPO_ID);
    await bench.hub.stop();
    stdout = "";
    stderr = "";
    await run(REPO_ID, "--json");
    expect(JSON.parse(stdout).commit).toBe(COMMIT);
    expect(stderr).toMatch(/^nvila: warning: .* cannot be reached .* using the copy/);
  });

  it("refuses a wrong id and two revisions", async () => {
    await expect(run("no-model")).rejects.toThrow("expected a model id of the form org/name");
    await expect(run(`${REPO_ID}@main`, "--revision", "v1.0")).rejects.toThrow("expected one revision");
    expect(stdout).toBe("");
  });

  it("stops on Ctrl-C, says how to go on, and goes on", async () => {
    bench.hub.fault = (seen) => (seen.path.includes(tagOf(WEIGHTS)) ? { kind: "stall", after: 512 * KIB } : null);
    const running = run(REPO_ID);
    const stopping = expect(running).rejects.toThrow("stopped by the user");
    await vi.waitUntil(() => sizeOf(bench.partialPath(WEIGHTS)) >= 256 * KIB, { timeout: 20_000, interval: 2 });
    process.emit("SIGINT");
    await stopping;
    expect(stdout).toBe("");
    expect(stderr).toBe("nvila: stopped. The same command goes on where it stopped\n");
    expect(process.listenerCount("SIGINT")).toBe(0);
    bench.hub.fault = () => null;
    const before = bench.hub.fileBytes(WEIGHTS);
    await run(REPO_ID);
    expect(bench.hub.fileBytes(WEIGHTS) - before).toBeLessThanOrEqual(WEIGHTS.content.length - 256 * KIB);
    expect(await bench.differing(await bench.pull({ offline: true }))).toEqual([]);
  });

  it("has examples in its help", async () => {
    await expect(run("--help")).rejects.toThrow("(outputHelp)");
    expect(stdout).toContain("nvila pull org/name@v1.0");
  });
});

describe("the rate", () => {
  it("is of the last seconds and counts only what came", () => {
    let ms = 0;
    const rate = new TransferRate(() => ms);
    expect(rate.update(0)).toBe(0);
    for (; ms < 5000; ms += 50) rate.update(ms * 100);
    expect(rate.update(ms * 100)).toBeCloseTo(100_000, -3);
    const bytes = ms * 100;
    for (; ms < 30_000; ms += 50) rate.update(bytes); // silence
    expect(rate.update(bytes)).toBe(0);
    for (let sent = bytes; ms < 45_000; ms += 50, sent += 500) rate.update(sent);
    expect(rate.update(bytes + 15_000 * 10)).toBeCloseTo(10_000, -3);
  });
});
