/** The folder of a run. One that holds something else is left alone. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RequestError } from "../util/errors.ts";
import type { Recipe } from "./recipe.ts";

/** By this file a run is known. */
const RECIPE = "recipe.json";

/**
 * Makes the folder, or opens that of an earlier call, and keeps the recipe in it.
 *
 * @throws RequestError when it is a file, or a folder with other things in it.
 */
export async function openRunFolder(out: string, recipe: Recipe): Promise<void> {
  if (existsSync(out)) {
    if (!statSync(out).isDirectory())
      throw new RequestError("train", `expected a folder for the run, got ${out}, a file`);
    const entries = readdirSync(out);
    if (entries.length > 0 && !entries.includes(RECIPE)) {
      throw new RequestError(
        "train",
        `expected an empty folder or one of an earlier run, got ${out}, which has ${entries.length} other entries. You can name a new one`,
      );
    }
  }
  await mkdir(out, { recursive: true });
  await writeFile(join(out, RECIPE), `${JSON.stringify(recipe, null, 2)}\n`);
}
