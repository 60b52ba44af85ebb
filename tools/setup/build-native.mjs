/**
 * Builds native/ into build/native/<platform>-<arch>/nvila.node with make and the system's C++ compiler. No downloads: the
 * Node-API headers come from the package node-api-headers. Plain Node, because npm runs it during install. Up to date: does nothing.
 *
 * --optional  a failure is one warning and exit code 0: the reference backend runs instead.
 * --sanitize  with AddressSanitizer and UBSan, into build/native-asan/<platform>-<arch>/.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { canRun, compiler, napiHeaders, ROOT } from "./native-tools.mjs";

const isOptional = process.argv.includes("--optional");
const isSanitized = process.argv.includes("--sanitize");

try {
  build();
} catch (error) {
  const lines = String(error.message).trim();
  if (isOptional) {
    console.error(
      `[build-native] warning: the native addon was not built, so the slow "reference" backend will run. Reason: ${lines}\n` +
        "[build-native] You can install make and g++ or clang++, then run `npm run build:native`.",
    );
  } else {
    console.error(`[build-native] ${lines}`);
    process.exitCode = 1;
  }
}

function build() {
  const include = napiHeaders();
  if (!canRun("make")) throw new Error("`make` is not installed or does not run.");
  const out = join(ROOT, "build", isSanitized ? "native-asan" : "native", `${process.platform}-${process.arch}`);
  mkdirSync(out, { recursive: true });
  // Relative to native/, because make cannot take a folder whose path holds a space.
  const fromNative = (path) => relative(join(ROOT, "native"), path);
  const result = spawnSync(
    "make",
    [
      "-s",
      "-j2",
      "-C",
      "native",
      `CXX=${compiler()}`,
      `OUT=${fromNative(out)}`,
      `NAPI_INCLUDE=${fromNative(include)}`,
      `SANITIZE=${isSanitized ? 1 : 0}`,
    ],
    { cwd: ROOT, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`make failed:\n${`${result.stdout}${result.stderr}`.trim().slice(-4000)}`);
  if (result.stderr.trim()) console.error(result.stderr.trim());
}
