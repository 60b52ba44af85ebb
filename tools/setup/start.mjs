/**
 * `npm start`: set-up, then the main job: questions about bundled pictures, answered by the bundled model, offline.
 * Environment: NVILA_MODEL picks another checkpoint. Arguments are added to `nvila ask`: `npm start -- --max-tokens 64`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { prepare, ROOT } from "./prepare.mjs";

/** How the benchmarks that nvila-tiny learnt from ask for short answers. */
const BRIEFLY = "\nAnswer the question using a single word or phrase.";
const ASKED = [
  ["assets/scene.png", "What shape is the leftmost object?"],
  ["assets/chart.png", "What is the title of the chart?"],
  ["assets/receipt.png", "What is the total?"],
];

prepare();

const cli = join(ROOT, "dist/cli/main.js");
const model = process.env.NVILA_MODEL ?? "nvila-tiny";
const extra = process.argv.slice(2);
for (const [picture, question] of ASKED) {
  console.error(`\n[start] nvila ask --model ${model} ${picture} "${question}" --stats ${extra.join(" ")}`);
  const result = spawnSync(
    process.execPath,
    [cli, "ask", "--model", model, "--stats", ...extra, picture, question + BRIEFLY],
    { cwd: ROOT, stdio: "inherit" },
  );
  if (result.status !== 0) process.exit(result.status ?? 1);
}
if (model === "nvila-tiny")
  console.error(
    "\n[start] nvila-tiny is small and knows the pictures of `nvila synth`. For photographs: NVILA_MODEL=Efficient-Large-Model/NVILA-Lite-2B npm start",
  );
