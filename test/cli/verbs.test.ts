/** `nvila chat`, `inspect` and `random` from outside. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { nvila } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

describe("nvila chat", () => {
  const chat = (lines: readonly string[], ...flags: string[]) =>
    nvila(["chat", "-m", space.model, "--max-tokens", "4", ...flags], {
      input: `${lines.join("\n")}\n`,
      env: { XDG_STATE_HOME: space.path("state") },
    });

  it("answers, keeps the conversation, takes pictures and shows figures", async () => {
    const result = await chat([`/image ${space.picture}`, "What is this?", "And now?", "/stats", "/history", "/exit"]);
    expect(result.code).toBe(0);
    expect(result.stdout.trim().split("\n").length).toBeGreaterThanOrEqual(2);
    expect(result.stderr).toMatch(/image .*tiles/); // in the figures
    expect(result.stderr).toMatch(/user: \[image .*picture\.png\] What is this\?/);
    expect(result.stderr).toMatch(/user: And now\?/);
  });

  it("answers the first question as ask does, and again after /reset", async () => {
    const asked = await nvila(["ask", "-m", space.model, "--max-tokens", "4", "Hello there"]);
    const result = await chat(["Hello there", "Something else", "/reset", "Hello there"]);
    const answers = result.stdout.split("\n").map((line) => line.trim());
    expect(answers[0]).toBe(asked.stdout.trim());
    expect(answers[2]).toBe(asked.stdout.trim());
  });

  it("goes on after a wrong path and an unknown command", async () => {
    const result = await chat(["/image nowhere.png", "/sing", "Still there?"]);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/nowhere\.png/);
    expect(result.stderr).toMatch(/unknown command \/sing/);
    expect(result.stdout.trim()).not.toBe("");
  });
});

describe("nvila inspect", () => {
  it("describes a checkpoint and counts tiles and tokens without running it", async () => {
    const { stdout, code } = await nvila(["inspect", space.model, space.picture]);
    expect(code).toBe(0);
    for (const row of ["family", "parameters", "memory", "context", "image"]) expect(stdout).toContain(row);
  });

  it("agrees with what ask reports", async () => {
    const inspected = JSON.parse((await nvila(["inspect", space.model, space.picture, "--json"])).stdout);
    const asked = await nvila(["ask", "-m", space.model, "--json", "--max-tokens", "1", space.picture, "What?"]);
    const [planned] = inspected.media;
    const [real] = JSON.parse(asked.stdout).media;
    expect(planned).toMatchObject({ grid: real.grid, tiles: real.tiles, tokens: real.tokens });
    expect(inspected.parameters.total).toBeGreaterThan(1000);
  });

  it("refuses what is no checkpoint", async () => {
    mkdirSync(space.path("nothing"));
    expect(await nvila(["inspect", space.path("nothing")])).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("nvila random", () => {
  it("writes the same bytes for the same seed and others for another", async () => {
    const files = async (name: string, ...flags: string[]): Promise<Buffer> => {
      expect(await nvila(["random", "nvila-tiny-random-s2", space.path(name), ...flags])).toMatchObject({
        code: 0,
        stdout: "",
      });
      return readFileSync(join(space.path(name), "vision_tower/model.safetensors"));
    };
    const first = await files("r1");
    expect(Buffer.compare(await files("r2"), first)).toBe(0);
    expect(Buffer.compare(await files("r3", "--seed", "5"), first)).not.toBe(0);
  });

  it("makes checkpoints of every tiny family that answer", async () => {
    for (const preset of ["nvila-tiny-random-s2", "nvila-tiny-random-lite", "nvila-tiny-random-video"]) {
      const dir = space.path(preset);
      expect(await nvila(["random", preset, dir])).toMatchObject({ code: 0 });
      expect(await nvila(["ask", "-m", dir, "--max-tokens", "2", space.picture, "Hm?"])).toMatchObject({ code: 0 });
    }
  });

  it("refuses a folder that is not empty, and an unknown preset", async () => {
    const before = readdirSync(space.model);
    expect(await nvila(["random", "nvila-tiny-random-s2", space.model])).toMatchObject({ code: 2, stdout: "" });
    expect(readdirSync(space.model)).toEqual(before);
    expect(await nvila(["random", "nvila-900b", space.path("big")])).toMatchObject({ code: 2 });
    expect(existsSync(space.path("big"))).toBe(false);
  });

  it("leaves nothing behind when it is stopped", async () => {
    const dir = space.path("stopped");
    const before = readdirSync(space.dir);
    const result = await nvila(["random", "nvila-lite-2b", dir], { interruptAt: "writing" });
    expect(result.code).toBe(130);
    expect(readdirSync(space.dir)).toEqual(before);
  });
});
