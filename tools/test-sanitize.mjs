/**
 * `npm run test:sanitize`: the tests that reach native code, on an addon built with AddressSanitizer and UBSan in its own folder
 * (build/native-asan). Finds reads and writes outside arrays, use after free, and undefined arithmetic, and stops at the first.
 *
 * Node itself is not instrumented, so the sanitizer's runtime is preloaded: it then owns malloc, and the memory of typed arrays
 * gets guard zones too. Without the preloaded runtime the addon does not load, so a green run cannot be one without a sanitizer.
 * Leaks are not looked for: node leaves memory to the system at its exit on purpose. A finding kills the worker that met it; its
 * report, with the stack of the kernel, stands above the test runner's note that a worker exited.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const ADDON = join(ROOT, "build", "native-asan", `${process.platform}-${process.arch}`, "nvila.node");

/** What to run, and why. Each must match a file, so that a renamed test is missed by nobody. */
const WANTED = [
  [/^src\/backend\/cpu\/.*\.test\.ts$/, "the addon's own tests, file mapping among them"],
  [/^test\/ops\/.*\.test\.ts$/, "the table of op cases and random sizes"],
  [/^test\/models\/modules\.test\.ts$/, "parts of the model on mapped weights"],
  [/^test\/.*safetensors.*\.test\.ts$/, "damaged and extreme weight files, mapped"],
  [/^test\/.*fuzz.*\.test\.ts$/, "damaged pictures and checkpoints"],
];

if (process.platform !== "linux") {
  console.log("[test-sanitize] skipped: the sanitizer's runtime is preloaded with LD_PRELOAD, which needs Linux");
  process.exit(0);
}

run("build", process.execPath, ["tools/setup/build-native.mjs", "--sanitize"], {});
const runtimes = ["asan", "ubsan"].map(runtimePath).filter((path) => path !== null);
if (runtimes.length === 0)
  fail("the compiler has no AddressSanitizer runtime. You can install libasan, or set CXX to g++.");

const environment = {
  NVILA_ADDON: ADDON,
  LD_PRELOAD: runtimes.join(" "),
  // A refused allocation is an error of the caller's, as without sanitizer; tests ask for absurd sizes.
  ASAN_OPTIONS: "detect_leaks=0:allocator_may_return_null=1",
  UBSAN_OPTIONS: "print_stacktrace=1",
};
const probe = `const native = require(${JSON.stringify(ADDON)}); native.createContext(1, "");`;
run("load", process.execPath, ["-e", probe], environment);

const files = wantedFiles();
for (const file of files) console.log(`[test-sanitize] runs ${file}`);
const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
const timeouts = ["--testTimeout=600000", "--hookTimeout=600000"];
// Files of test/slow belong to the long suite, which has its own configuration.
const isSlow = (file) => file.startsWith("test/slow/");
for (const [config, group] of [
  ["vitest.config.ts", files.filter((file) => !isSlow(file))],
  ["vitest.slow.config.ts", files.filter(isSlow)],
]) {
  if (group.length > 0) {
    run("tests", process.execPath, [vitest, "run", "--config", config, ...timeouts, ...group], environment);
  }
}
console.log(`[test-sanitize] ${files.length} test files ran with ${runtimes.join(", ")}: nothing found`);

/** The shared library of a sanitizer, as the compiler names it; null when there is none. */
function runtimePath(name) {
  const compiler = process.env.CXX ?? "g++";
  const { stdout } = spawnSync(compiler, [`-print-file-name=lib${name}.so`], { encoding: "utf8" });
  const path = (stdout ?? "").trim();
  return path.includes(sep) && existsSync(path) ? path : null;
}

function wantedFiles() {
  const all = ["src", "test"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join("/")),
  );
  for (const [pattern, what] of WANTED) {
    if (!all.some((file) => pattern.test(file))) fail(`no test file matches ${pattern} (${what})`);
  }
  return all.filter((file) => WANTED.some(([pattern]) => pattern.test(file))).sort();
}

function run(what, command, args, environment) {
  const env = { ...process.env, ...environment };
  const result = spawnSync(command, args, { cwd: ROOT, env, stdio: "inherit" });
  if (result.error) throw result.error;
  const code = result.status ?? result.signal;
  if (code !== 0) fail(`${what} ended with ${code}`);
}

function fail(message) {
  console.error(`[test-sanitize] ${message}`);
  process.exit(1);
}
