/**
 * Set-up that `npm start` and `npm test` share: install packages, build the native addon, compile TypeScript, bundle the page.
 * Plain Node without dependencies, because it runs before anything is installed. Each step is skipped when up to date.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root folder. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const MINIMUM_NODE = [20, 19];

/** Runs a command in the project root, its output on stderr; exits with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
    ...options,
  });
  if (result.error) {
    console.error(`[setup] cannot run ${command}: ${result.error.message}`);
    process.exit(1);
  }
  if (result.signal) process.exit(130);
  if (result.status !== 0) {
    console.error(`[setup] "${command} ${args.join(" ")}" failed with exit code ${result.status}`);
    process.exit(result.status ?? 1);
  }
}

/** Runs a script of an installed package by its file, so that no shell shim is needed. */
export function runTool(packageBin, args, options = {}) {
  run(process.execPath, [join(ROOT, "node_modules", packageBin), ...args], options);
}

/** Everything from a bare clone to a runnable project. */
export function prepare() {
  checkNode();
  installPackages();
  run(process.execPath, ["tools/setup/build-native.mjs", "--optional"]);
  // The compiler leaves files of deleted sources behind; a stale dist would hide a broken import.
  rmSync(join(ROOT, "dist"), { recursive: true, force: true });
  runTool("typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
  runTool("vite/bin/vite.js", ["build", "web", "--logLevel", "warn"]);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
    console.error(
      `[setup] expected Node ${MINIMUM_NODE.join(".")} or later, got ${process.versions.node}. You can install one from nodejs.org.`,
    );
    process.exit(1);
  }
}

/** `npm ci` unless node_modules already matches the lock file. */
function installPackages() {
  const lock = join(ROOT, "package-lock.json");
  const installed = join(ROOT, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs && hasEveryPackage()) return;
  console.error("[setup] installing packages (npm ci) …");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

function hasEveryPackage() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return Object.keys({ ...dependencies, ...devDependencies }).every((name) =>
    existsSync(join(ROOT, "node_modules", name, "package.json")),
  );
}
