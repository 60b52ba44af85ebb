/**
 * Builds native/cuda into build/cuda/<platform>-<arch>/ with make: nvila-cuda.node with nvcc of the CUDA toolkit (13.0 was used). Not part of
 * the install: nobody needs it but who trains on an NVIDIA GPU.
 *
 * --on-host  nvila-cuda-on-host.node instead, with the C++ compiler: the kernels as loops, for tests without a GPU.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { canRun, compiler, napiHeaders, ROOT } from "./native-tools.mjs";

const isOnHost = process.argv.includes("--on-host");

try {
  build();
} catch (error) {
  console.error(`[build-cuda] ${String(error.message).trim()}`);
  process.exitCode = 1;
}

function build() {
  const include = napiHeaders();
  if (!canRun("make")) throw new Error("`make` is not installed or does not run.");
  const nvcc = [process.env.NVCC, "nvcc", "/usr/local/cuda/bin/nvcc"].find((name) => name && canRun(name));
  if (!isOnHost && !nvcc) {
    throw new Error(
      "`nvcc` was not found (tried $NVCC, nvcc, /usr/local/cuda/bin/nvcc). You can install the CUDA toolkit.",
    );
  }
  const out = join(ROOT, "build", "cuda", `${process.platform}-${process.arch}`);
  mkdirSync(out, { recursive: true });
  // Relative to native/cuda/, because make cannot take a folder whose path holds a space.
  const fromThere = (path) => relative(join(ROOT, "native", "cuda"), path);
  const tool = isOnHost ? [`CXX=${compiler()}`, "ON_HOST=1"] : [`NVCC=${nvcc}`];
  const result = spawnSync(
    "make",
    ["-s", "-j2", "-C", "native/cuda", ...tool, `OUT=${fromThere(out)}`, `NAPI_INCLUDE=${fromThere(include)}`],
    { cwd: ROOT, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`make failed:\n${`${result.stdout}${result.stderr}`.trim().slice(-4000)}`);
  if (result.stderr.trim()) console.error(result.stderr.trim());
}
