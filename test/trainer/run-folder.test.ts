/** A run takes an empty folder or its own, and nothing else. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Recipe } from "../../src/trainer/recipe.ts";
import { openRunFolder } from "../../src/trainer/run-folder.ts";
import { RequestError } from "../../src/util/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-run-folder-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const recipe: Recipe = { name: "test", source: "", seed: 1, stages: [] };

describe("the folder of a run", () => {
  it("is made, keeps the recipe, and is opened again", async () => {
    const out = join(folder, "a/b");
    await openRunFolder(out, recipe);
    writeFileSync(join(out, "report.html"), "");
    await openRunFolder(out, { ...recipe, seed: 2 });
    expect(JSON.parse(readFileSync(join(out, "recipe.json"), "utf8"))).toMatchObject({ name: "test", seed: 2 });
  });

  it("may be empty", async () => {
    mkdirSync(join(folder, "empty"));
    await openRunFolder(join(folder, "empty"), recipe);
    expect(readdirSync(join(folder, "empty"))).toEqual(["recipe.json"]);
  });

  it("is no folder with other things, and no file", async () => {
    const other = join(folder, "other");
    mkdirSync(other);
    writeFileSync(join(other, "config.json"), "{}");
    await expect(openRunFolder(other, recipe)).rejects.toThrow(/expected an empty folder or one of an earlier run/);
    expect(readdirSync(other)).toEqual(["config.json"]);
    await expect(openRunFolder(join(other, "config.json"), recipe)).rejects.toThrow(RequestError);
  });
});
