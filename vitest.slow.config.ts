import { defineConfig } from "vitest/config";

/** The long suite: real-size goldens and fuzz runs, one file at a time because each wants the whole machine. */
export default defineConfig({
  test: { include: ["test/slow/**/*.test.ts"], testTimeout: 1_800_000, hookTimeout: 600_000, maxWorkers: 1 },
});
