/** `nvila ask`: one question about pictures and videos, the answer on stdout. */
import { Command } from "commander";
import type { GenerationResult } from "../../api/generation.ts";
import { image, type Part, video } from "../../api/parts.ts";
import { mediaKindOf } from "../../io/media-kind.ts";
import { RequestError } from "../../util/errors.ts";
import { addFormOptions, type FormOptions, formatLogprobs, formOf } from "../form-options.ts";
import { withInterrupt } from "../interrupt.ts";
import {
  addModelOptions,
  addSamplingOptions,
  type ModelOptions,
  numberBetween,
  openModel,
  type SamplingOptions,
  samplingOf,
  wholeNumber,
} from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";
import { formatStats } from "../stats.ts";

interface AskOptions extends ModelOptions, SamplingOptions, FormOptions {
  readonly frames?: number;
  readonly fps?: number;
  readonly exifRotate?: boolean;
  readonly stats?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  nvila ask -m ./NVILA-Lite-2B photo.jpg "What is in this picture?"
  nvila ask -m org/name before.png after.png "What changed?" --max-tokens 64
  nvila ask -m ./NVILA-8B-Video clip.mp4 "What happens?" --frames 32 --stats
  nvila ask -m ./NVILA-8B receipt.png "The total?" --json | jq -r .text
  nvila ask -m ./NVILA-8B receipt.png "What was bought?" --json-schema receipt.schema.json

Media are files, folders of frames or URLs; the last argument is the question. Put -- before a question that starts with a dash.`;

export function askCommand(): Command {
  const command = new Command("ask")
    .description("ask one question about pictures and videos")
    .argument("<media...>", 'pictures, videos or folders of frames, then the question: photo.png "What is this?"')
    .addHelpText("after", EXAMPLES);
  return addFormOptions(addSamplingOptions(addModelOptions(command)))
    .option("--frames <n>", "frames to sample from each video (default: the checkpoint's)", wholeNumber(1))
    .option(
      "--fps <r>",
      "frames per second to sample; 0 is an even spread (default: the checkpoint's)",
      numberBetween(0, 1000),
    )
    .option("--exif-rotate", "turn pictures upright by their EXIF orientation (the original does not)")
    .option("--stats", "times, tokens and memory on stderr")
    .option("--json", "print one JSON object instead of the text")
    .action((args: string[], options: AskOptions) => withInterrupt((signal) => ask(args, options, signal)));
}

async function ask(args: readonly string[], options: AskOptions, signal: AbortSignal): Promise<void> {
  const form = formOf(options);
  const parts = await partsOf(args, options);
  const line = new ProgressLine();
  const model = await openModel(options, line, signal);
  try {
    const generation = model.generate(parts, {
      ...samplingOf(options),
      ...form,
      signal,
      onProgress: ({ label, done, total }) => line.show(`${label} ${done}/${total}`),
    });
    if (!options.json) {
      for await (const chunk of generation) {
        line.clear();
        process.stdout.write(chunk.text);
      }
      process.stdout.write("\n");
    }
    const result = await generation;
    if (options.json) process.stdout.write(`${JSON.stringify(jsonOf(result))}\n`);
    if (result.logprobs && !options.json) process.stderr.write(formatLogprobs(result.logprobs));
    if (options.stats) process.stderr.write(formatStats(result));
  } finally {
    line.clear();
    model.close();
  }
}

/** All arguments but the last are media; the last is the question. */
async function partsOf(args: readonly string[], options: AskOptions): Promise<Part[]> {
  const question = args.at(-1) ?? "";
  if (question.trim() === "")
    throw new RequestError("ask", 'the question is empty. You can put it last: nvila ask photo.png "What is this?"');
  const parts: Part[] = [];
  for (const source of args.slice(0, -1)) {
    const kind = await mediaKindOf(source);
    if (kind === "image") parts.push(image(source, { exifRotate: options.exifRotate ?? false }));
    else {
      parts.push(
        video(source, {
          ...(options.frames === undefined ? {} : { frames: options.frames }),
          ...(options.fps === undefined ? {} : { fps: options.fps }),
        }),
      );
    }
  }
  return [...parts, question];
}

/** The object that `--json` prints; `timedText` only where the answer has times, `logprobs` only where they were asked for. */
function jsonOf(result: GenerationResult): object {
  const { text, timedText, tokenIds, promptTokenIds, finishReason, logprobs } = result;
  const { media, timings, memory, model, device, threads } = result;
  const timed = timedText === null ? {} : { timedText };
  const likely = logprobs === null ? {} : { logprobs };
  const run = { finishReason, ...likely, media, timings, memory, model, device, threads };
  return { text, ...timed, tokenIds, promptTokenIds, ...run };
}
