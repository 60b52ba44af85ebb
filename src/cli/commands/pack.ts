/** `nvila pack`: the quantised weights of a checkpoint once more, in the layout of this machine's kernels, so that it opens at once. */
import { Command } from "commander";
import { packCheckpoint } from "../../io/packed-copy.ts";
import { formatBar, formatBytes } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { ProgressLine } from "../progress-line.ts";

const EXAMPLES = `
Examples:
  nvila pack ./nvila-lite-2b-w4
  nvila quantize ./nvila-lite-2b ./nvila-lite-2b-w4 --llm w4a16 --vision w8a8 --packed

The copy is one file beside config.json. It is only used while the weights are those that it was made of; it can be deleted at any time.`;

export function packCommand(): Command {
  return new Command("pack")
    .description("keep a quantised checkpoint packed for this machine, so that it opens at once")
    .argument("<model>", "folder of a checkpoint with quantised weights")
    .addHelpText("after", EXAMPLES)
    .action((model: string) =>
      withInterrupt(async (signal) => {
        const line = new ProgressLine();
        const { path, matrices, sizeBytes } = await packCheckpoint(model, {
          signal,
          onProgress: ({ matricesDone, matricesTotal }) =>
            line.show(`${formatBar(matricesDone / matricesTotal)} matrices packed ${matricesDone}/${matricesTotal}`),
          onWarning: (message) => {
            line.clear();
            process.stderr.write(`nvila: warning: ${message}\n`);
          },
        }).finally(() => line.clear());
        process.stderr.write(`wrote ${path}: ${matrices} matrices, ${formatBytes(sizeBytes)}\n`);
      }),
    );
}
