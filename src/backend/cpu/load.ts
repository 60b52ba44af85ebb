/**
 * Finds and loads the native addon, once. Every place that was tried and why it failed is kept, so that a fallback can
 * name its reason. Knows nothing of operations.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../util/errors.ts";
import type { Binding } from "./binding.ts";

export type LoadResult =
  | { readonly binding: Binding; readonly path: string }
  | { readonly binding: null; readonly reason: string };

let cached: LoadResult | null = null;

/** The addon, or why there is none. Environment: NVILA_ADDON is the path of another build. */
export function loadBinding(): LoadResult {
  cached ??= tryPaths(candidates());
  return cached;
}

/** From src/backend/cpu and from dist/backend/cpu the package's root is three folders up. */
function candidates(): readonly string[] {
  const override = process.env.NVILA_ADDON;
  if (override) return [override];
  return [
    fileURLToPath(new URL(`../../../build/native/${process.platform}-${process.arch}/nvila.node`, import.meta.url)),
  ];
}

function tryPaths(paths: readonly string[]): LoadResult {
  const require = createRequire(import.meta.url);
  const failures: string[] = [];
  for (const path of paths) {
    if (!existsSync(path)) {
      failures.push(`${path} does not exist. You can run \`npm run build:native\``);
      continue;
    }
    try {
      return { binding: require(path) as Binding, path };
    } catch (error) {
      failures.push(`${path} does not load: ${messageOf(error)}`);
    }
  }
  return { binding: null, reason: failures.join("; ") };
}
