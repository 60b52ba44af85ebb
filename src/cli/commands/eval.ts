/** `nvila eval`: how well a model answers, beside what guessing gives. */
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { RIGHT_SCORE } from "../../eval/evaluate-answer.ts";
import { synthTask } from "../../eval/synth-task.ts";
import type { EvalTask } from "../../eval/task.ts";
import { SYNTH_TASKS } from "../../eval/tasks/all-tasks.ts";
import { openFileTask } from "../../evaluate/file-task.ts";
import { modelFingerprint } from "../../evaluate/model-fingerprint.ts";
import { reportPage } from "../../evaluate/report-page.ts";
import { type EvaluatedTask, runEvaluation } from "../../evaluate/run-evaluation.ts";
import { localCheckpoint } from "../../io/bundled-model.ts";
import { writeWholeFile } from "../../io/new-folder.ts";
import type { Split } from "../../synth/font.ts";
import { RequestError } from "../../util/errors.ts";
import { formatBar, formatMs } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { addModelOptions, type ModelOptions, openModel, wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

interface EvalOptions extends ModelOptions {
  readonly count: number;
  readonly seed: number;
  readonly split: Split;
  readonly concurrency: number;
  readonly out?: string;
  readonly wrong: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Tasks: ${Object.keys(SYNTH_TASKS).join(", ")}, all, or a .json or .jsonl file of samples (questions as nvila synth writes them, else
the first exchange of each sample by exact match). Several are separated by commas.

Examples:
  nvila eval ./nvila-tiny all
  nvila eval ./nvila-tiny documents,charts --count 500 --out ./runs/tiny
  nvila eval ./NVILA-Lite-2B ./world/scenes/test.jsonl --json

The folder holds outputs.jsonl (every answer), metrics.json, and report.html with the wrong answers as pictures. A run that was stopped goes
on where it was; a changed folder of a model, question or setting is answered again. Scores follow the originals, their oddities included.`;

export function evalCommand(): Command {
  const command = new Command("eval")
    .description("score a model on tasks: reading, charts, scenes, screens, diagrams, videos, or your own files")
    .argument("<model>", "checkpoint folder, or org/name on the hub")
    .argument("[tasks]", "names or files, separated by commas", "all")
    .addHelpText("after", EXAMPLES);
  addModelOptions(command);
  command.options.find((option) => option.long === "--model")?.hideHelp(); // the model is an argument here
  return command
    .option("--count <n>", "examples of each task", wholeNumber(1), 100)
    .option("--seed <n>", "another seed gives other examples", wholeNumber(0), 1)
    .addOption(
      new Option("--split <name>", "which part of the world").choices(["test", "validation", "train"]).default("test"),
    )
    .option("--concurrency <n>", "examples answered at once", wholeNumber(1), 8)
    .option("--out <dir>", "where results go (default: runs/eval/<model>)")
    .option("--wrong <n>", "wrong answers of each task in the report", wholeNumber(0), 48)
    .option("--json", "print one JSON document on stdout")
    .action((model: string, tasks: string, options: EvalOptions) =>
      withInterrupt((signal) => evaluate(tasks, { ...options, model }, signal)),
    );
}

async function evaluate(
  names: string,
  options: EvalOptions & { readonly model: string },
  signal: AbortSignal,
): Promise<void> {
  const tasks = await openTasks(names, options);
  const line = new ProgressLine();
  const outDir = resolve(options.out ?? join("runs/eval", basename(resolve(options.model)).toLowerCase()));
  const model = await openModel(options, line, signal, { maxConcurrent: options.concurrency });
  try {
    const startMs = performance.now();
    const evaluated = await runEvaluation(model, {
      tasks,
      outDir,
      modelFingerprint: fingerprintOf(options),
      concurrency: options.concurrency,
      signal,
      onProgress: (task, done, total, score) =>
        line.show(`${formatBar(done / total)} ${task} ${done} of ${total}, score ${(100 * score).toFixed(1)}`),
    });
    line.clear();
    const summary = summaryOf(options, model.device, evaluated);
    const notes = [
      `${model.device}, ${model.threads} threads, ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
      `split ${options.split}, seed ${options.seed}, greedy, reference scoring`,
    ];
    const page = await reportPage(evaluated, tasks, { model: options.model, notes, mostWrong: options.wrong });
    await writeWholeFile(join(outDir, "metrics.json"), `${JSON.stringify(summary, null, 2)}\n`);
    await writeWholeFile(join(outDir, "report.html"), page);
    if (options.json) process.stdout.write(`${JSON.stringify({ out: outDir, ...summary })}\n`);
    else process.stderr.write(describe(evaluated, outDir, performance.now() - startMs));
  } finally {
    line.clear();
    model.close();
    await Promise.all(tasks.map((task) => task.close?.()));
  }
}

async function openTasks(
  names: string,
  { count, seed, split }: EvalOptions,
): Promise<(EvalTask & { close?(): Promise<void> })[]> {
  const wanted = names.split(",").flatMap((name) => (name === "all" ? Object.keys(SYNTH_TASKS) : [name.trim()]));
  return Promise.all(
    wanted.map((name) => {
      if (/\.jsonl?$/i.test(name)) return openFileTask(name, count);
      const recipe = Object.hasOwn(SYNTH_TASKS, name) ? SYNTH_TASKS[name] : null;
      if (recipe) return synthTask(recipe, { count, split, seed });
      throw new RequestError(
        "eval",
        `expected one of ${Object.keys(SYNTH_TASKS).join(", ")}, all, or a .json or .jsonl file, got "${name}"`,
      );
    }),
  );
}

function summaryOf(
  options: EvalOptions & { readonly model: string },
  device: string,
  evaluated: readonly EvaluatedTask[],
): object {
  const { model, split, seed, count } = options;
  const tasks = evaluated.map(({ answers: _, ...scores }) => scores);
  return { model, device, mode: "reference", split, seed, count, tasks };
}

/** The checkpoint, and whatever else changes what it answers. */
function fingerprintOf({
  model,
  quantize,
  kvCache,
  int4Activations,
  framesAsImages,
}: EvalOptions & { readonly model: string }): string {
  return `${modelFingerprint(localCheckpoint(model))} ${JSON.stringify([quantize ?? null, kvCache, int4Activations, framesAsImages ?? false])}`;
}

function describe(evaluated: readonly EvaluatedTask[], outDir: string, durationMs: number): string {
  const percent = (share: number): string => (100 * share).toFixed(1).padStart(6);
  const head = `  ${"task".padEnd(14)}${"metric".padEnd(26)} score  chance    n   right\n`;
  const lines = evaluated.map(({ task, headline, score, chance, n, errors, answers }) => {
    const right = answers.filter((answer) => answer.score >= RIGHT_SCORE).length;
    const trouble = errors > 0 ? `   ${errors} without a response` : "";
    return `  ${task.padEnd(14)}${headline.padEnd(24)}${percent(score)}  ${percent(chance)}${String(n).padStart(5)}${String(right).padStart(8)}${trouble}\n`;
  });
  return `${head}${lines.join("")}wrote ${join(outDir, "report.html")} in ${formatMs(durationMs)}\n`;
}
