/** `nvila train`: the stages of a recipe on the user's data, from a checkpoint to a checkpoint. */
import { Command } from "commander";
import { readRegistry } from "../../loader/registry.ts";
import { readRecipe, recipeNames } from "../../trainer/recipe.ts";
import { train } from "../../trainer/train.ts";
import { formatBar } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { ProgressLine } from "../progress-line.ts";

const EXAMPLES = `
Examples:
  nvila train tiny --model ./start --data ./registry.json --mixture scenes+charts --out ./run
  nvila train my-recipe.json --model ./start --data ./registry.json --out ./run --stage 4-image

Recipes in the package: ${recipeNames().join(", ")}. Each stage has a folder in --out with log.jsonl and, when it is finished, model/; report.html shows the curves.
The same command goes on where it was stopped or killed; Ctrl-C saves first.`;

interface TrainFlags {
  readonly model: string;
  readonly data: string;
  readonly out: string;
  readonly mixture?: string;
  readonly stage?: readonly string[];
  readonly threads?: number;
}

export function trainCommand(): Command {
  return new Command("train")
    .description("train a checkpoint by a recipe")
    .argument("<recipe>", "name of a recipe, or a JSON file")
    .requiredOption("--model <folder>", "checkpoint that the first stage starts from")
    .requiredOption("--data <file>", "registry of data sets")
    .requiredOption("--out <folder>", "folder of the run")
    .option("--mixture <names>", "data of stages that name none, as a+b*2@subset")
    .option("--stage <names...>", "only these stages")
    .option("--threads <n>", "threads that compute", (text: string) => Number.parseInt(text, 10))
    .addHelpText("after", EXAMPLES)
    .action((name: string, flags: TrainFlags) =>
      withInterrupt(async (signal) => {
        const recipe = readRecipe(name);
        const line = new ProgressLine();
        const finished = await train(recipe, {
          from: flags.model,
          out: flags.out,
          registry: await readRegistry(flags.data),
          mixture: flags.mixture ?? null,
          ...(flags.stage && { only: flags.stage }),
          ...(flags.threads !== undefined && { threads: flags.threads }),
          signal,
          onStep: (stage, { step, totalSteps, loss, rows, samples, seconds }) => {
            const left = Math.round(((totalSteps - step) * seconds) / 60);
            line.show(
              `${stage} ${formatBar(step / totalSteps)} step ${step}/${totalSteps} loss ${loss.toFixed(4)} ` +
                `${(samples / seconds).toFixed(1)} samples/s ${Math.round(rows / seconds)} rows/s, ${left} min left`,
            );
          },
          onWarning: (message) => {
            line.clear();
            process.stderr.write(`nvila: warning: ${message}\n`);
          },
        }).finally(() => line.clear());
        process.stdout.write(`${finished}\n`);
      }),
    );
}
