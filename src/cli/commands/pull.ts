/** `nvila pull`: downloads a model into the Hugging Face cache, verified and resumable. */
import { Command } from "commander";
import { pullModel } from "../../hub/pull-model.ts";
import { formatBar, formatBytes, formatMs } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { ProgressLine } from "../progress-line.ts";

interface PullOptions {
  readonly revision: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

const EXAMPLES = `
Examples:
  nvila pull Efficient-Large-Model/NVILA-Lite-2B
  HF_TOKEN=hf_… nvila pull org/gated-model --revision v1.0
  HF_ENDPOINT=https://mirror.example nvila pull org/name

Files go to the Hugging Face cache (HF_HOME, default ~/.cache/huggingface), where Python tools find them too. An
interrupted download goes on where it stopped; every file is checked against the hub's hash before it counts.`;

export function pullCommand(): Command {
  return new Command("pull")
    .description("download a model from the hub, verified and resumable")
    .argument("<hub-id>", "org/name")
    .option("--revision <name>", "branch, tag or commit", "main")
    .option("--offline", "only look into the cache")
    .option("--json", "print one JSON object: snapshotDir, commit, files")
    .addHelpText("after", EXAMPLES)
    .action((hubId: string, options: PullOptions) => withInterrupt((signal) => pull(hubId, options, signal)));
}

async function pull(hubId: string, options: PullOptions, signal: AbortSignal): Promise<void> {
  const line = new ProgressLine();
  const startMs = performance.now();
  let firstBytes: number | null = null;
  const result = await pullModel(hubId, {
    revision: options.revision,
    signal,
    ...(options.offline ? { offline: true } : {}),
    onProgress: ({ bytesDone, bytesTotal, filesDone, filesTotal }) => {
      firstBytes ??= bytesDone;
      const seconds = (performance.now() - startMs) / 1000;
      const rate = (bytesDone - firstBytes) / Math.max(seconds, 1e-3);
      const left = rate > 0 ? `, ${formatMs(((bytesTotal - bytesDone) / rate) * 1000)} left` : "";
      const share = bytesTotal > 0 ? bytesDone / bytesTotal : 0;
      line.show(
        `${formatBar(share)} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}, ${filesDone}/${filesTotal} files, ${formatBytes(rate)}/s${left}`,
      );
    },
  }).finally(() => line.clear());
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${result.snapshotDir}\n`);
}
