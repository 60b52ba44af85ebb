import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The fast suite: everything that `npm test` runs. Long runs are in vitest.slow.config.ts. */
export default defineConfig({
  // The page imports this package by its public name; tests run its sources, not a build of them.
  resolve: { alias: { "nvila/client": fileURLToPath(new URL("src/client/index.ts", import.meta.url)) } },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/slow/**", "node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
