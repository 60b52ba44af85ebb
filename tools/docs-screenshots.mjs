/** `npm run docs:screenshots`: builds, then writes docs/images/ from the test of the served page. Needs a Chromium. */
import { prepare, ROOT, runTool } from "./setup/prepare.mjs";

prepare();
runTool("vitest/vitest.mjs", ["run", "test/web/served-page.test.ts"], {
  cwd: ROOT,
  stdio: "inherit",
  env: { ...process.env, NVILA_SCREENSHOTS: "1" },
});
