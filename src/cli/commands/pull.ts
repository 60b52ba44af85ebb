/** `nvila pull`: downloads a model into the Hugging Face cache, verified and resumable. */
import { Command } from "commander";
import { pullModel } from "../../hub/pull-model.ts";
import type { PullProgress } from "../../hub/pull-progress.ts";
import { formatBar, formatBytes, formatMs } from "../format.ts";
import { isInterrupt, withInterrupt } from "../interrupt.ts";
import { ProgressLine } from "../progress-line.ts";
import { TransferRate } from "../transfer-rate.ts";

interface PullOptions {
  readonly revision?: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

const EXAMPLES = `
Examples:
  nvila pull Efficient-Large-Model/NVILA-Lite-2B
  nvila pull org/name@v1.0
  HF_TOKEN=hf_… nvila pull org/gated-model --revision refs/pr/1
  HF_ENDPOINT=https://mirror.example nvila pull org/name
  nvila pull org/name --offline --json | jq -r .snapshotDir

Files go to the Hugging Face cache (HF_HOME, default ~/.cache/huggingface), where Python tools find them too. An
interrupted download goes on where it stopped; every file is checked against the hub's hash before it counts.`;

export function pullCommand(): Command {
  return new Command("pull")
    .description("download a model from the hub, verified and resumable")
    .argument("<hub-id>", "org/name or org/name@revision")
    .option("--revision <name>", "branch, tag or commit (default: main)")
    .option("--offline", "only look into the cache")
    .option("--json", "print one JSON object: snapshotDir, commit, files")
    .addHelpText("after", EXAMPLES)
    .action((hubId: string, options: PullOptions) => withInterrupt((signal) => pull(hubId, options, signal)));
}

async function pull(hubId: string, options: PullOptions, signal: AbortSignal): Promise<void> {
  const line = new ProgressLine();
  const rate = new TransferRate();
  const startMs = performance.now();
  let last: PullProgress | null = null;
  const say = (message: string): void => {
    line.clear();
    process.stderr.write(`nvila: ${message}\n`);
  };
  try {
    const result = await pullModel(hubId, {
      revision: options.revision,
      signal,
      ...(options.offline ? { offline: true } : {}),
      onProgress: (progress) => {
        last = progress;
        line.show(describe(progress, rate.update(progress.bytesReceived)));
      },
      onWarning: (message) => say(`warning: ${message}`),
    });
    if (last !== null) say(summary(last, performance.now() - startMs));
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${result.snapshotDir}\n`);
  } catch (error) {
    if (isInterrupt(error)) say("stopped. The same command goes on where it stopped");
    throw error;
  } finally {
    line.clear();
  }
}

/** One line for the terminal. */
function describe(progress: PullProgress, bytesPerSecond: number): string {
  const { bytesDone, bytesTotal, bytesReused, filesDone, filesTotal } = progress;
  const share = bytesTotal > 0 ? bytesDone / bytesTotal : 1;
  const speed = `${formatBytes(Math.round(bytesPerSecond))}/s`;
  const left = bytesPerSecond > 0 ? `, ${formatMs(((bytesTotal - bytesDone) / bytesPerSecond) * 1000)} left` : "";
  const before = bytesReused > 0 ? ` (${formatBytes(bytesReused)} were there)` : "";
  return `${formatBar(share)} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}${before}, ${filesDone}/${filesTotal} files, ${speed}${left}`;
}

function summary({ bytesTotal, bytesReceived, bytesReused, filesTotal }: PullProgress, ms: number): string {
  const parts = [`${filesTotal} files, ${formatBytes(bytesTotal)}`];
  if (bytesReused > 0) parts.push(`${formatBytes(bytesReused)} were there`);
  if (bytesReceived > 0) {
    const speed = formatBytes(Math.round(bytesReceived / Math.max(ms / 1000, 1e-3)));
    parts.push(`${formatBytes(bytesReceived)} downloaded in ${formatMs(ms)} (${speed}/s)`);
  }
  return parts.join("; ");
}
