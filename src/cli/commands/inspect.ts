/** `nvila inspect`: what a checkpoint is, and what a picture or video would cost in tiles and tokens. Runs no model. */
import { Command } from "commander";
import type { MediaReport } from "../../api/generation.ts";
import type { ModelDescription } from "../../api/model-description.ts";
import { image, type Part, video } from "../../api/parts.ts";
import { mediaKindOf } from "../../io/media-kind.ts";
import { formatBytes, formatCount } from "../format.ts";
import { withInterrupt } from "../interrupt.ts";
import { addModelOptions, type ModelOptions, openModel, wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

interface InspectOptions extends ModelOptions {
  readonly frames?: number;
  readonly maxTiles?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  nvila inspect ./NVILA-Lite-2B
  nvila inspect ./NVILA-8B photo.jpg
  nvila inspect ./NVILA-8B-Video clip.gif --frames 64 --json`;

export function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("show what a checkpoint is and what media would cost in tiles and tokens")
    .argument("<model>", "checkpoint folder or hub id")
    .argument("[media...]", "pictures, videos or folders of frames, as they would stand in one prompt")
    .addHelpText("after", EXAMPLES);
  return addModelOptions(command)
    .option("--frames <n>", "frames to sample from each video", wholeNumber(1))
    .option("--max-tiles <n>", "most tiles for one picture", wholeNumber(1))
    .option("--json", "print one JSON object")
    .action((model: string, media: string[], options: InspectOptions) =>
      withInterrupt((signal) => inspect(model, media, options, signal)),
    );
}

async function inspect(
  path: string,
  sources: readonly string[],
  options: InspectOptions,
  signal: AbortSignal,
): Promise<void> {
  const parts: Part[] = [];
  for (const source of sources) {
    const isImage = (await mediaKindOf(source)) === "image";
    parts.push(isImage ? image(source) : video(source, options.frames === undefined ? {} : { frames: options.frames }));
  }
  const model = await openModel({ ...options, model: path }, new ProgressLine(), signal);
  try {
    const plan =
      parts.length === 0
        ? null
        : await model.plan(parts, options.maxTiles === undefined ? {} : { maxTiles: options.maxTiles });
    const description = model.describe();
    if (options.json) {
      process.stdout.write(
        `${JSON.stringify({ ...description, media: plan?.media ?? [], promptLength: plan?.promptLength ?? null })}\n`,
      );
      return;
    }
    process.stdout.write(formatDescription(description));
    for (const [index, item] of (plan?.media ?? []).entries()) process.stdout.write(formatMedia(sources[index], item));
    if (plan)
      process.stdout.write(
        `${"prompt".padEnd(14)} ${plan.promptLength} of ${description.contextLength} tokens with an empty question\n`,
      );
  } finally {
    model.close();
  }
}

function formatDescription(model: ModelDescription): string {
  const rows: [string, string][] = [
    ["model", model.name],
    ["family", `${model.family} (${model.layout} layout)`],
    [
      "vision",
      `SigLIP ${model.vision.layers} layers (${model.vision.layersUsed} used) × ${model.vision.width}, ${model.vision.tileSize} px tiles, patch ${model.vision.patch}`,
    ],
    ["projector", `${model.projector.type}, ${model.projector.tokensPerTile} tokens per tile`],
    [
      "language",
      `Qwen2 ${model.llm.layers} layers × ${model.llm.width}, ${model.llm.heads}/${model.llm.kvHeads} heads, ${model.llm.vocabulary} tokens`,
    ],
    ["tiling", model.tiling],
    ["context", `${model.contextLength} tokens`],
    [
      "parameters",
      `${formatCount(model.parameters.total)} (vision ${formatCount(model.parameters.vision)}, projector ${formatCount(model.parameters.projector)}, language ${formatCount(model.parameters.llm)})`,
    ],
    ["weights", `${formatBytes(model.sizeBytes)} in ${model.dtypes.join(", ")}`],
    [
      "memory",
      `${formatBytes(model.memory.weightsBytes)} weights + ${formatBytes(model.memory.kvCacheBytesAtContext)} cache at full context + ${formatBytes(model.memory.visionActivationBytes)} vision`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)} ${value}\n`).join("");
}

function formatMedia(source: string, item: MediaReport): string {
  return `${item.kind.padEnd(14)} ${source}: ${item.width}×${item.height}, grid ${item.grid.join("×")}, ${item.tiles} tiles, ${item.tokens} tokens\n`;
}
