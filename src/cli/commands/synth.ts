/** `nvila synth`: pictures and short videos with questions and answers, drawn from a seed. */
import { Argument, Command, Option } from "commander";
import { FAMILIES, FAMILY_NAMES, type FamilyName, SPLITS } from "../../synth/families.ts";
import type { Split } from "../../synth/font.ts";
import { type SynthSetReport, writeSynthSet } from "../../world/write-synth-set.ts";
import { formatBar, formatMs } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

interface SynthCommandOptions {
  readonly count: number;
  readonly seed: number;
  readonly split: Split | "all";
  readonly json?: boolean;
}

const EXAMPLES = `
Families, and the benchmark whose questions and metric each has:
${FAMILY_NAMES.map((name) => `  ${name.padEnd(12)}${FAMILIES[name].shows} (${FAMILIES[name].standsFor})`).join("\n")}

Examples:
  nvila synth documents ./documents --count 2000 --seed 1
  nvila synth all ./world --count 5000
  nvila synth videos ./clips --count 100 --split test --json

The folder has one line of JSON for each picture (LLaVA form), the pictures, a manifest, and registry.json for the trainer. Validation and
test get a tenth of the count each; their fonts, words and layouts never occur in training. A seed gives the same pixels everywhere.`;

export function synthCommand(): Command {
  return new Command("synth")
    .description("draw pictures with questions and answers, for training and evaluation")
    .addArgument(new Argument("<family>", "what to draw").choices([...FAMILY_NAMES, "all"]))
    .argument("<out>", "folder to make; must not exist or be empty")
    .option("--count <n>", "examples of each family", wholeNumber(1), 1000)
    .option("--seed <n>", "another seed gives other examples", wholeNumber(0), 1)
    .addOption(new Option("--split <name>", "one split only").choices([...SPLITS, "all"]).default("all"))
    .option("--json", "print the manifest as one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((family: FamilyName | "all", out: string, options: SynthCommandOptions) =>
      withInterrupt(async (signal) => {
        const line = new ProgressLine();
        const startMs = performance.now();
        const report = await writeSynthSet(out, {
          families: family === "all" ? FAMILY_NAMES : [family],
          counts: countsOf(options),
          seed: options.seed,
          signal,
          onProgress: (done, total, label) => line.show(`${formatBar(done / total)} ${done} of ${total}  ${label}`),
        }).finally(() => line.clear());
        if (options.json) process.stdout.write(`${JSON.stringify({ out, ...report })}\n`);
        else process.stderr.write(describe(report, out, performance.now() - startMs));
      }),
    );
}

function countsOf({ count, split }: SynthCommandOptions): Record<Split, number> {
  if (split !== "all") return { train: 0, validation: 0, test: 0, [split]: count };
  const tenth = Math.max(1, Math.round(count / 10));
  return { train: count, validation: tenth, test: tenth };
}

function describe(report: SynthSetReport, out: string, durationMs: number): string {
  const lines = Object.entries(report.families).flatMap(([family, { splits }]) =>
    Object.entries(splits).map(
      ([split, { examples, questions }]) =>
        `  ${family.padEnd(12)}${split.padEnd(12)}${String(examples).padStart(7)} pictures ${String(questions).padStart(8)} questions\n`,
    ),
  );
  return `${lines.join("")}wrote ${out} in ${formatMs(durationMs)}\n`;
}
