/** `nvila train`: the stages of a recipe, from nothing on the synthetic world, or from the user's checkpoint on the user's data. */
import { Command, Option } from "commander";
import { readRegistry } from "../../loader/registry.ts";
import { readRecipe, recipeNames } from "../../trainer/recipe.ts";
import { type TrainOptions, train } from "../../trainer/train.ts";
import { trainFromNothing } from "../../trainer/train-from-nothing.ts";
import type { LoggedStep } from "../../trainer/train-stage.ts";
import { RequestError } from "../../util/errors.ts";
import { formatBar } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

const EXAMPLES = `
Examples:
  nvila train tiny --out ./run
  nvila train tiny --out ./run --max-minutes 60
  nvila train tiny --model ./start --data ./registry.json --mixture scenes+charts --out ./run
  nvila train tiny --out ./run --device cuda --tf32 --replicas 4 --decode-threads 4 --keep-gib 48
  nvila train my-recipe.json --model ./start --data ./registry.json --out ./run --stages 4-image

Recipes in the package: ${recipeNames().join(", ")}. Each stage has a folder in --out with log.jsonl and, when it is finished, model/; report.html shows the curves.
A recipe that says what to start from needs neither --model nor --data: it draws the synthetic world, learns a vocabulary, trains from initial
weights, scores the model after every stage, and leaves the quantised one in final/.
The same command goes on where it was stopped or killed; Ctrl-C saves first.`;

interface TrainFlags {
  readonly model?: string;
  readonly data?: string;
  readonly out: string;
  readonly mixture?: string;
  readonly stages?: readonly string[];
  readonly threads?: number;
  readonly device: NonNullable<TrainOptions["device"]>;
  readonly decodeThreads?: number;
  readonly keepGib?: number;
  readonly maxMinutes?: number;
  readonly tf32?: boolean;
  readonly bf16?: boolean;
  readonly replicas?: number;
  readonly averageSteps?: number;
}

/** The reason of an abort at the end of --max-minutes. */
class TimeIsUp extends Error {
  override readonly name = "TimeIsUp";
}

export function trainCommand(): Command {
  return new Command("train")
    .description("train a checkpoint by a recipe")
    .argument("<recipe>", "name of a recipe, or a JSON file")
    .requiredOption("--out <folder>", "folder of the run")
    .option("--model <folder>", "checkpoint that the first stage starts from (default: what the recipe makes)")
    .option("--data <file>", "registry of data sets (default: the synthetic world of the recipe)")
    .option("--mixture <names>", "with --data: data of all stages, as a+b*2@subset (default: what the recipe names)")
    .option("--stages <names...>", "only these stages")
    .option("--max-minutes <n>", "save and stop after this time", wholeNumber(1))
    .option("--threads <n>", "threads that compute, of each replica", wholeNumber(1))
    .addOption(
      new Option("--device <name>", "what computes; cuda must be built first (npm run build:cuda)")
        .choices(["auto", "cpu", "reference", "cuda"])
        .default("auto"),
    )
    .option(
      "--decode-threads <n>",
      "threads that decode pictures and videos, of each replica (default: 1)",
      wholeNumber(1),
    )
    .option(
      "--keep-gib <n>",
      "memory for prepared samples, so that one that comes again is not decoded again (default: none)",
      wholeNumber(1),
    )
    .option("--tf32", "with --device cuda: products on tensor cores, their operands rounded to 11 bits")
    .option("--bf16", "on a processor with AMX: products on its tiles, their operands rounded to 8 bits")
    .option(
      "--replicas <n>",
      "models that learn side by side, each in a thread with its share of the samples, and take the mean of their weights (default: 1)",
      wholeNumber(1),
    )
    .option("--average-steps <n>", "with --replicas: steps from one mean to the next (default: 100)", wholeNumber(1))
    .addHelpText("after", EXAMPLES)
    .action((name: string, flags: TrainFlags) => withInterrupt((signal) => run(name, flags, signal)));
}

async function run(name: string, flags: TrainFlags, interrupted: AbortSignal): Promise<void> {
  const recipe = readRecipe(name);
  const {
    model,
    data,
    out,
    mixture,
    threads,
    device,
    decodeThreads,
    keepGib,
    maxMinutes,
    tf32,
    bf16,
    replicas,
    averageSteps,
  } = flags;
  const only = flags.stages;
  const unknown = only?.find((stage) => !recipe.stages.some((known) => known.name === stage));
  if (unknown !== undefined) {
    const names = recipe.stages.map((stage) => stage.name).join(", ");
    throw new RequestError("train", `expected stages of ${recipe.name}: ${names}, got "${unknown}"`);
  }
  const clock = new AbortController();
  const alarm =
    maxMinutes === undefined ? null : setTimeout(() => clock.abort(new TimeIsUp("time is up")), maxMinutes * 60_000);
  const signal = AbortSignal.any([interrupted, clock.signal]);
  const line = new ProgressLine();
  const common = {
    out,
    device,
    ...(decodeThreads !== undefined && { decodeThreads }),
    ...(keepGib !== undefined && { keepBytes: keepGib * 2 ** 30 }),
    ...(only && { only }),
    ...(tf32 && { tf32 }),
    ...(bf16 && { bf16 }),
    ...(replicas !== undefined && { replicas }),
    ...(averageSteps !== undefined && { averageSteps }),
    ...(threads !== undefined && { threads }),
    signal,
    onStep: (stage: string, step: LoggedStep) => line.show(describeStep(stage, step, replicas)),
    onWarning: (message: string) => {
      line.clear();
      process.stderr.write(`nvila: warning: ${message}\n`);
    },
  };
  try {
    const finished =
      model === undefined && data === undefined && mixture === undefined
        ? await trainFromNothing(recipe, {
            ...common,
            onWork: (what, done, total) => line.show(`${formatBar(done / total)} ${what} ${done} of ${total}`),
          })
        : await train(recipe, { ...common, ...(await given(flags)) });
    line.clear();
    process.stdout.write(`${finished}\n`);
  } catch (error) {
    if (!(error instanceof TimeIsUp)) throw error;
    line.clear();
    process.stderr.write(`stopped after ${maxMinutes} minutes; the same command goes on\n`);
  } finally {
    line.clear();
    if (alarm) clearTimeout(alarm);
  }
}

/** @throws RequestError when only a part of what is needed was given. */
async function given({
  model,
  data,
  mixture,
}: TrainFlags): Promise<Pick<Parameters<typeof train>[1], "from" | "registry" | "mixture">> {
  if (model === undefined || data === undefined) {
    throw new RequestError("train", "expected --model and --data together, or neither of them nor --mixture");
  }
  return { from: model, registry: await readRegistry(data), mixture: mixture ?? null };
}

function describeStep(
  stage: string,
  { step, totalSteps, loss, answerLoss, rows, samples, seconds }: LoggedStep,
  replicas = 1,
): string {
  const left = Math.round(((totalSteps - step) * seconds) / 60);
  const each = replicas > 1 ? `${replicas} × ` : "";
  const ofAnswers = answerLoss === null ? "" : `(answers ${answerLoss.toFixed(4)}) `;
  return (
    `${stage} ${formatBar(step / totalSteps)} step ${step}/${totalSteps} loss ${loss.toFixed(4)} ${ofAnswers}` +
    `${each}${(samples / seconds).toFixed(1)} samples/s ${Math.round(rows / seconds)} rows/s, ${left} min left`
  );
}
