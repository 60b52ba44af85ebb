/** `nvila random`: a checkpoint of a released model's real shape with random weights, for tests and timings. */
import { Argument, Command, Option } from "commander";
import { PRESET_NAMES, type PresetName } from "../../checkpoint/presets.ts";
import { writeRandomCheckpoint } from "../../io/random-checkpoint.ts";
import { formatBytes } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

interface RandomOptions {
  readonly dtype: "f32" | "bf16" | "f16";
  readonly seed: number;
}

const EXAMPLES = `
Examples:
  nvila random nvila-lite-2b /data/lite-2b-random
  nvila random nvila-tiny-random-s2 ./tiny && nvila ask -m ./tiny photo.png "Describe."

The weights come from a published integer hash of tensor name and index, so that every machine writes the same file.`;

export function randomCommand(): Command {
  return new Command("random")
    .description("write a checkpoint with random weights in the real shape of a released model")
    .addArgument(new Argument("<preset>", "which model").choices(PRESET_NAMES))
    .argument("<dir>", "folder to make; must not exist or be empty")
    .addOption(new Option("--dtype <type>", "how weights are stored").choices(["f32", "bf16", "f16"]).default("bf16"))
    .option("--seed <n>", "another seed gives other weights", wholeNumber(0), 20251128)
    .addHelpText("after", EXAMPLES)
    .action((preset: PresetName, dir: string, options: RandomOptions) =>
      withInterrupt(async (signal) => {
        const line = new ProgressLine();
        const startMs = performance.now();
        const { sizeBytes } = await writeRandomCheckpoint(preset, dir, {
          dtype: options.dtype,
          seed: options.seed,
          signal,
          onProgress: ({ bytesDone, bytesTotal }) =>
            line.show(`writing ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`),
        }).finally(() => line.clear());
        const seconds = (performance.now() - startMs) / 1000;
        process.stderr.write(
          `wrote ${dir}: ${preset}, ${formatBytes(sizeBytes)} in ${seconds.toFixed(1)} s (random weights)\n`,
        );
      }),
    );
}
