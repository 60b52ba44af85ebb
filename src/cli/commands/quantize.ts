/** `nvila quantize`: a checkpoint with int4 and int8 weights out of one with 16- or 32-bit floats. */
import { Command, Option } from "commander";
import { type QuantizeReport, quantizeCheckpoint } from "../../io/quantize-checkpoint.ts";
import {
  LLM_QUANTIZATIONS,
  type LlmQuantization,
  type QuantizeOptions,
  TABLE_QUANTIZATIONS,
  type TableQuantization,
  VISION_QUANTIZATIONS,
  type VisionQuantization,
} from "../../quant/quantize-plan.ts";
import { formatBar, formatBytes, formatMs } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { ProgressLine } from "../progress-line.ts";

interface QuantizeCommandOptions {
  readonly llm: LlmQuantization | "none";
  readonly vision: VisionQuantization | "none";
  readonly groupSize: string;
  readonly symmetric?: boolean;
  readonly lmHead: TableQuantization | "none";
  readonly embedding: TableQuantization | "none";
  readonly packed?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  nvila quantize ./nvila-lite-2b ./nvila-lite-2b-w4 --llm w4a16 --vision w8a8
  nvila quantize ./nvila-8b ./nvila-8b-w4 --llm w4a16 --group-size 64 --lm-head int8
  nvila quantize ./nvila-lite-2b ./nvila-lite-2b-w8 --llm w8a8 --vision w8a8 --json

Weights are rounded to the nearest code; nothing is calibrated. w4a16 is int4 in groups with scale and zero point, w8a8 is int8 per
output channel with activations rounded per token. The result is in compressed-tensors form. Memory stays small for any model.
A tied head follows --embedding; with --lm-head alone it becomes a matrix of its own.`;

export function quantizeCommand(): Command {
  return new Command("quantize")
    .description("write a checkpoint with int4 and int8 weights, rounded to nearest")
    .argument("<model>", "folder of a checkpoint")
    .argument("<out>", "folder to make; must not exist or be empty")
    .addOption(
      new Option("--llm <format>", "linear layers of the language model")
        .choices([...LLM_QUANTIZATIONS, "none"])
        .default("none"),
    )
    .addOption(
      new Option("--vision <format>", "linear layers of the vision tower")
        .choices([...VISION_QUANTIZATIONS, "none"])
        .default("none"),
    )
    .addOption(
      new Option("--group-size <n>", "inputs that share a scale in int4").choices(["128", "64", "32"]).default("128"),
    )
    .option("--symmetric", "int4 without zero points")
    .addOption(new Option("--lm-head <format>", "the head").choices([...TABLE_QUANTIZATIONS, "none"]).default("none"))
    .addOption(
      new Option("--embedding <format>", "the embedding table")
        .choices([...TABLE_QUANTIZATIONS, "none"])
        .default("none"),
    )
    .option("--packed", "also keep the weights packed for this machine, so that the model opens at once")
    .option("--json", "print one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((model: string, out: string, options: QuantizeCommandOptions) =>
      withInterrupt(async (signal) => {
        const line = new ProgressLine();
        const startMs = performance.now();
        const report = await quantizeCheckpoint(model, out, {
          quantize: quantizeOptionsOf(options),
          isPacked: options.packed ?? false,
          signal,
          onProgress: ({ label, bytesDone, bytesTotal }) =>
            line.show(
              `${formatBar(bytesDone / bytesTotal)} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}  ${label}`,
            ),
          onWarning: (message) => {
            line.clear();
            process.stderr.write(`nvila: warning: ${message}\n`);
          },
        }).finally(() => line.clear());
        const durationMs = performance.now() - startMs;
        if (options.json)
          process.stdout.write(`${JSON.stringify({ model, out, durationMs: Math.round(durationMs), ...report })}\n`);
        else process.stderr.write(describe(report, out, durationMs));
      }),
    );
}

function quantizeOptionsOf(options: QuantizeCommandOptions): QuantizeOptions {
  const { llm, vision, lmHead, embedding } = options;
  return {
    ...(llm === "none" ? {} : { llm }),
    ...(vision === "none" ? {} : { vision }),
    ...(lmHead === "none" ? {} : { lmHead }),
    ...(embedding === "none" ? {} : { embedding }),
    groupSize: Number(options.groupSize),
    isSymmetric: options.symmetric ?? false,
  };
}

function describe(report: QuantizeReport, out: string, durationMs: number): string {
  const lines = report.parts.map(({ part, bytesBefore, bytesAfter, matrices, meanRelativeError, worst }) => {
    const sizes = `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`;
    const error =
      meanRelativeError === null || worst === null
        ? "as it was"
        : `${matrices} matrices, mean relative error ${percent(meanRelativeError)}, most ${percent(worst.relativeError)} in ${worst.name}`;
    return `  ${part.padEnd(10)} ${sizes.padEnd(24)} ${error}\n`;
  });
  const total = `${formatBytes(report.bytesBefore)} → ${formatBytes(report.bytesAfter)}`;
  return `${lines.join("")}wrote ${out}: ${total} in ${formatMs(durationMs)}\n`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
