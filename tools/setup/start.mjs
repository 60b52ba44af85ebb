/**
 * `npm start`: set-up, then the main job: a question about a bundled picture.
 * Until a trained default model ships, it runs on random weights that it makes here, and says so.
 * Environment: NVILA_MODEL picks another checkpoint. Arguments are added to `nvila ask`: `npm start -- --stats`.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { prepare, ROOT, run } from "./prepare.mjs";

const PICTURE = "assets/street.png";
const QUESTION = "What is in this picture?";
const RANDOM_PRESET = "nvila-tiny-random-s2";

prepare();

const cli = join(ROOT, "dist/cli/main.js");
const extra = process.argv.slice(2);
const model = process.env.NVILA_MODEL ?? randomModel();
console.error(`[start] nvila ask --model ${model} ${PICTURE} "${QUESTION}" --max-tokens 24 ${extra.join(" ")}`);
const result = spawnSync(
  process.execPath,
  [cli, "ask", "--model", model, "--max-tokens", "24", ...extra, PICTURE, QUESTION],
  { cwd: ROOT, stdio: "inherit" },
);
process.exit(result.status ?? 1);

/** The folder of a small random-weight checkpoint, made on first use. */
function randomModel() {
  const folder = join("build", RANDOM_PRESET);
  console.error(
    "[start] no trained model ships with this version: the weights are random, so the answer below is noise.\n" +
      "[start] You can set NVILA_MODEL to a checkpoint folder or a hub id, e.g. NVILA_MODEL=Efficient-Large-Model/NVILA-Lite-2B npm start",
  );
  if (!existsSync(join(ROOT, folder))) run(process.execPath, [cli, "random", RANDOM_PRESET, folder]);
  return folder;
}
