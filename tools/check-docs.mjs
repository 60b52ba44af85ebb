/**
 * Fails when an exported symbol of the public surface has no doc comment.
 * Public means: re-exported by name from src/index.ts or src/node.ts.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./setup/prepare.mjs";

const ENTRY_POINTS = ["src/index.ts", "src/node.ts"];
const missing = [];
let checked = 0;
for (const entry of ENTRY_POINTS) {
  const text = readFileSync(join(ROOT, entry), "utf8");
  if (/export\s+\*/.test(text)) missing.push(`${entry}: "export *" hides what is public`);
  for (const [, names, from] of text.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}\s+from\s+"([^"]+)"/g)) {
    const file = join(dirname(entry), from);
    const source = readFileSync(join(ROOT, file), "utf8");
    for (const name of names.split(",").map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s+as\s+/)[0],
    )) {
      if (!name) continue;
      checked++;
      const declaration = new RegExp(
        `(\\*/\\s*)?^export\\s+(?:abstract\\s+|async\\s+)*(?:class|function\\*?|const|interface|type)\\s+${name}\\b`,
        "m",
      );
      const match = declaration.exec(source);
      if (!match) missing.push(`${file}: ${name} is re-exported but not declared here`);
      else if (!/\*\/\s*$/.test(source.slice(0, match.index + (match[1]?.length ?? 0))))
        missing.push(`${file}: ${name} has no doc comment`);
    }
  }
}
for (const line of missing) console.error(line);
console.log(`${checked} public symbols, ${missing.length} without documentation`);
process.exit(missing.length === 0 ? 0 : 1);
