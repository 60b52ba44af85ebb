/** `npm test`: set-up, then the fast suite. Arguments go to vitest: `npm test -- src/preprocess`. */
import { prepare, runTool } from "./prepare.mjs";

prepare();
runTool("vitest/vitest.mjs", ["run", ...process.argv.slice(2)], { stdio: "inherit" });
