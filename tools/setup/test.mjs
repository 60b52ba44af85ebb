/** `npm test`: set-up, then the fast suite. Arguments go to vitest: `npm test -- src/preprocess`. */
import { spawnSync } from "node:child_process";
import { prepare, ROOT, runTool } from "./prepare.mjs";

prepare();
// Kernels of the GPU as loops. Where they cannot be built, their tests say so and are skipped.
spawnSync(process.execPath, ["tools/setup/build-cuda.mjs", "--on-host"], { cwd: ROOT, stdio: ["ignore", 2, 2] });
runTool("vitest/vitest.mjs", ["run", ...process.argv.slice(2)], { stdio: "inherit" });
