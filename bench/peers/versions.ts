/** Versions of the engines that are installed here, for the last line of a run. */
import { readFileSync } from "node:fs";

export function peerVersions(): Readonly<Record<string, string>> {
  const names = Object.keys(read("package.json").dependencies ?? {});
  return Object.fromEntries(
    names.map((name) => [name, read(`node_modules/${name}/package.json`).version ?? "unknown"]),
  );
}

function read(file: string): { version?: string; dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
}
