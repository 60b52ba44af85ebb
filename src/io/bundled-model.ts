/** The model that comes with the package: `nvila-tiny`, trained by recipes/tiny.json and quantised by `nvila quantize`; README, "The bundled model". */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What stands for it where a folder or a hub id is expected. */
export const BUNDLED_MODEL = "nvila-tiny";

const FOLDER = fileURLToPath(new URL(`../../assets/${BUNDLED_MODEL}`, import.meta.url));

/** Its folder, or null where the package was built without it. */
export function bundledModelFolder(): string | null {
  return existsSync(join(FOLDER, "config.json")) ? FOLDER : null;
}

/** What a model's name stands for: the folder of the bundled model for its name, unless something here is called so; else the name itself. */
export function localCheckpoint(name: string): string {
  return (name === BUNDLED_MODEL && !existsSync(name) && bundledModelFolder()) || name;
}
