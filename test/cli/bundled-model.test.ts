/** The model that comes with the package: small enough, found by its name from anywhere, used and told when none is named. */
import { readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BUNDLED_MODEL, bundledModelFolder } from "../../src/io/bundled-model.ts";
import { nvila, ROOT, withoutProgress } from "./run-cli.ts";

const PICTURE = join(ROOT, "assets/scene.png");
const QUESTION = "How many objects are there?\nAnswer the question using a single word or phrase.";

describe("the bundled model", () => {
  it("takes at most 10 MB of the package, and has no random weights", () => {
    const folder = bundledModelFolder() as string;
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    expect(bytes).toBeLessThan(10e6);
    expect(files.length).toBeGreaterThan(5);
  });

  it("answers when no model is named, and says which one it is", async () => {
    const { stdout, stderr, code } = await nvila(["ask", PICTURE, QUESTION]);
    expect(code).toBe(0);
    expect(stdout.trim()).toMatch(/^\d$/);
    expect(withoutProgress(stderr)).toMatch(/no model is named, so this is nvila-tiny/);
  });

  it("is found by its name from another folder, with the same answer", async () => {
    const options = { cwd: tmpdir() };
    const named = await nvila(["ask", "-m", BUNDLED_MODEL, "--json", PICTURE, QUESTION], options);
    const byFolder = await nvila(["ask", "-m", bundledModelFolder() as string, "--json", PICTURE, QUESTION], options);
    expect(named.stderr).toBe("");
    const [a, b] = [named, byFolder].map(({ stdout }) => JSON.parse(stdout) as { text: string; model: string });
    expect(a.text).toBe(b.text);
    expect(a.model).toBe(BUNDLED_MODEL);
  });
});
