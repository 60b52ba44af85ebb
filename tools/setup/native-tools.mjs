/** What builds of native code look for. Plain Node, because npm runs it during install. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the package. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** True when `command --version` works. */
export function canRun(command) {
  const result = spawnSync(command, ["--version"], { stdio: "ignore" });
  return !result.error && result.status === 0;
}

/** The C++ compiler. @throws Error when there is none. */
export function compiler() {
  const found = [process.env.CXX, "g++", "clang++"].find((name) => name && canRun(name));
  if (!found) throw new Error("no C++ compiler was found (tried $CXX, g++, clang++).");
  return found;
}

/** Folder of the Node-API headers. @throws Error when their package is not installed. */
export function napiHeaders() {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve("node-api-headers/package.json")), "include");
  } catch {
    throw new Error("the package node-api-headers is not installed. You can run `npm ci`.");
  }
}
