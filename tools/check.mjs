/** `npm run check`: types, lint and format, documentation of public symbols, architecture. Prints one line per check; exit 1 if any fails. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./setup/prepare.mjs";

const bin = (path) => join(ROOT, "node_modules", path);
const CHECKS = [
  ["types", [bin("typescript/bin/tsc"), "-p", "tsconfig.json"]],
  ["types of the page", [bin("typescript/bin/tsc"), "-p", "web/tsconfig.json"]],
  ["lint and format", [bin("@biomejs/biome/bin/biome"), "ci", "--error-on-warnings", "."]],
  ["public docs", ["tools/check-docs.mjs"]],
  ["architecture", [bin("vitest/vitest.mjs"), "run", "test/architecture.test.ts", "--reporter=dot"]],
];

let failed = 0;
for (const [name, args] of CHECKS) {
  const result = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  const isGood = result.status === 0;
  if (!isGood) {
    failed++;
    process.stdout.write(`${result.stdout}${result.stderr}`);
  }
  console.log(`${isGood ? "ok    " : "FAILED"} ${name}`);
}
console.log(`${CHECKS.length - failed} checks passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
