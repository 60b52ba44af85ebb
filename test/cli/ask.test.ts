/** `nvila ask` as scripts use it: text and JSON on stdout, all else on stderr, options that reach the model, Ctrl-C. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { nvila, ROOT, withoutProgress } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

interface AskJson {
  text: string;
  tokenIds: number[];
  promptTokenIds: number[];
  finishReason: string;
  media: { kind: string; width: number; height: number; grid: [number, number]; tiles: number; tokens: number }[];
  timings: Record<string, number>;
  memory: { peakRssBytes: number };
  model: string;
  device: string;
  threads: number;
}

async function askJson(...args: string[]): Promise<AskJson> {
  const result = await nvila(["ask", "-m", space.model, "--json", "--max-tokens", "6", ...args]);
  expect(result.stderr).toBe("");
  expect(result.code).toBe(0);
  expect(result.stdout.trimEnd()).not.toContain("\n");
  return JSON.parse(result.stdout) as AskJson;
}

describe("nvila ask --json", () => {
  it("prints one object with the documented fields", async () => {
    const answer = await askJson(space.picture, "What is this?");
    expect(Object.keys(answer).sort()).toEqual(
      "device,finishReason,media,memory,model,promptTokenIds,text,threads,timings,tokenIds,"
        .split(",")
        .filter(Boolean)
        .sort(),
    );
    expect(Object.keys(answer.timings).sort()).toEqual(
      ["decodeMs", "decodeTokensPerSecond", "loadMs", "prefillMs", "preprocessMs", "ttftMs", "visionMs"].sort(),
    );
    expect(answer.tokenIds.length).toBeGreaterThan(0);
    expect(answer.tokenIds.length).toBeLessThanOrEqual(6);
    expect(answer.media).toHaveLength(1);
    expect(answer.media[0]).toMatchObject({ kind: "image", width: 120, height: 90 });
    const [columns, rows] = answer.media[0].grid;
    // The Lite family adds a thumbnail to every grid but 1×1.
    expect(answer.media[0].tiles).toBe(columns * rows + (columns * rows > 1 ? 1 : 0));
    expect(answer.memory.peakRssBytes).toBeGreaterThan(10e6);
    for (const ms of Object.values(answer.timings)) expect(ms).toBeGreaterThanOrEqual(0);
  });

  it("answers the same on every device and with every number of threads", async () => {
    const question = [space.picture, "Describe it."];
    const [reference, one, two] = [
      await askJson("--device", "reference", ...question),
      await askJson("--threads", "1", ...question),
      await askJson("--threads", "2", ...question),
    ];
    expect(reference.device).toBe("reference");
    expect(one.tokenIds).toEqual(reference.tokenIds);
    expect(two.tokenIds).toEqual(reference.tokenIds);
    if (one.device === "cpu") expect([one.threads, two.threads]).toEqual([1, 2]);
  });

  it("repeats a sampled answer for the same seed", async () => {
    const flags = [
      "--temperature",
      "1.5",
      "--top-k",
      "50",
      "--top-p",
      "0.95",
      "--max-tokens",
      "12",
      space.picture,
      "Go.",
    ];
    const first = await askJson("--seed", "7", ...flags);
    expect((await askJson("--seed", "7", ...flags)).tokenIds).toEqual(first.tokenIds);
    const others = await Promise.all(["8", "9", "10"].map((seed) => askJson("--seed", seed, ...flags)));
    expect(others.some((other) => other.tokenIds.join() !== first.tokenIds.join())).toBe(true);
  });

  it("takes several pictures, a folder of frames and a system message", async () => {
    const frames = space.path("frames");
    mkdirSync(frames, { recursive: true });
    for (let i = 0; i < 3; i++) await space.paint(`frames/${i}.png`, 32, 24);
    const media = [space.picture, space.picture, frames];
    const answer = await askJson("--frames", "4", "--system", "Be brief.", ...media, "What differs?");
    expect(answer.media.map(({ kind, tiles }) => [kind, tiles])).toEqual([
      ["image", 1], // beside another picture nothing is tiled
      ["image", 1],
      ["video", 4],
    ]);
    const other = await askJson("--frames", "4", "--system", "Be elaborate.", ...media, "What differs?");
    expect(other.promptTokenIds).not.toEqual(answer.promptTokenIds);
  });

  it("limits tiles", async () => {
    const path = await space.paint("wide.png", 900, 300);
    const answer = await askJson("--max-tiles", "2", path, "Wide?");
    expect(answer.media[0].grid[0] * answer.media[0].grid[1]).toBeLessThanOrEqual(2);
  });
});

describe("nvila ask", () => {
  it("writes the text to stdout and figures to stderr", async () => {
    const args = ["-m", space.model, "--max-tokens", "6", space.picture, "What is this?"];
    const plain = await nvila(["ask", ...args]);
    const { text } = await askJson(space.picture, "What is this?");
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    expect(plain.stdout.trim()).toBe(text);
    const withStats = await nvila(["ask", "--stats", ...args]);
    expect(withStats.stdout).toBe(plain.stdout);
    expect(withStats.stderr).toMatch(/^tokens +\d+ prompt \(0 cached\) \+ \d+ answer/m);
    for (const row of ["load", "preprocess", "vision", "prefill", "first token", "decode", "peak memory"]) {
      expect(withStats.stderr).toContain(row);
    }
  });

  it("ends an answer at a stop string", async () => {
    const whole = await askJson(space.picture, "What is this?");
    const stop = whole.text.slice(2, 4);
    const cut = await askJson("--stop", stop, "--", space.picture, "What is this?");
    expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)).trim());
    expect(cut.finishReason).toBe("stop");
  });

  it("stops at Ctrl-C with exit code 130", async () => {
    const args = [
      "ask",
      "-m",
      space.model,
      "--max-tokens",
      "3000",
      "--temperature",
      "2",
      "--seed",
      "1",
      space.picture,
      "Talk.",
    ];
    const result = await nvila(args, { interruptAt: "e" });
    expect(result.code).toBe(130);
    expect(result.stderr).not.toMatch(/fault/);
  });

  it("ends quietly when its reader goes away", () => {
    const command = `"${process.execPath}" dist/cli/main.js ask -m "${space.model}" --max-tokens 200 "${space.picture}" Go. | head -c 1`;
    const result = spawnSync("sh", ["-c", command], { cwd: ROOT, encoding: "utf8", timeout: 30_000 });
    expect(withoutProgress(result.stderr)).toBe("");
  });
});

describe("help", () => {
  it("shows every verb with examples", async () => {
    const { stdout, code } = await nvila(["--help"]);
    expect(code).toBe(0);
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]).filter((verb) => verb !== "help");
    expect(verbs).toEqual(expect.arrayContaining(["ask", "chat", "inspect", "pull", "random"]));
    for (const verb of verbs) {
      const help = await nvila([verb, "--help"]);
      expect(help.code).toBe(0);
      expect(help.stdout).toMatch(/Examples?:/);
    }
  });

  it("tells the version of the package", async () => {
    const { version } = (await import(join(ROOT, "package.json"), { with: { type: "json" } })).default as {
      version: string;
    };
    expect((await nvila(["--version"])).stdout.trim()).toBe(version);
  });

  it("refuses an unknown verb", async () => {
    expect(await nvila(["sing"])).toMatchObject({ code: 2, stdout: "" });
  });
});
