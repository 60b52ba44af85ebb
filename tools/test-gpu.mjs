/**
 * `npm run test:gpu`: builds the `cuda` backend and runs on the GPU what holds for every backend that learns: the table of op cases, gradients
 * and steps against the goldens, a run of the trainer. Not part of `npm test`, which runs the same kernels as loops.
 */
import { prepare, run, runTool } from "./setup/prepare.mjs";

prepare();
run(process.execPath, ["tools/setup/build-cuda.mjs"]);
run(process.execPath, ["tools/setup/build-cuda.mjs", "--on-host"]);
process.env.NVILA_TEST_GPU = "1";
const tests = ["test/ops/cuda.test.ts", "test/training", "test/trainer/cuda.test.ts"];
runTool("vitest/vitest.mjs", ["run", ...tests, ...process.argv.slice(2)], { stdio: "inherit" });
