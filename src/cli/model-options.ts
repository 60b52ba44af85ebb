/** Command-line options that several verbs share: which model, on what, and how to sample. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { EngineLimitOptions } from "../api/engine-limits.ts";
import type { GenerateOptions } from "../api/generate-options.ts";
import { loadModel } from "../api/load-model.ts";
import type { Nvila } from "../api/nvila.ts";
import { BUNDLED_MODEL, bundledModelFolder } from "../io/bundled-model.ts";
import type { QuantizeOptions } from "../quant/quantize-plan.ts";
import { RequestError } from "../util/errors.ts";
import type { ProgressLine } from "./progress-line.ts";
import { parseQuantizeFlag, QUANTIZE_HELP } from "./quantize-flag.ts";

export interface ModelOptions {
  readonly model?: string;
  readonly device: "auto" | "cpu" | "reference";
  readonly threads?: number;
  readonly offline?: boolean;
  readonly framesAsImages?: boolean;
  readonly quantize?: QuantizeOptions;
  readonly kvCache: "f32" | "int8";
  readonly int4Activations: "int8" | "int16" | "int24";
}

export interface SamplingOptions {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly maxTiles?: number;
  readonly system?: string;
}

/** Parses a whole number of at least `minimum`. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`expected a whole number of at least ${minimum}.`);
    return value;
  };
}

/** Parses a number in [minimum, maximum]. */
export function numberBetween(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`expected a number between ${minimum} and ${maximum}.`);
    }
    return value;
  };
}

export function addModelOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-m, --model <path|hub-id>",
        "checkpoint folder, or org/name on the hub (default: the bundled nvila-tiny)",
      ).env("NVILA_MODEL"),
    )
    .addOption(new Option("--device <name>", "what computes").choices(["auto", "cpu", "reference"]).default("auto"))
    .option("--threads <n>", "worker threads (default: all cores)", wholeNumber(1))
    .addOption(
      new Option("--quantize <part=format,...>", `round weights while loading: ${QUANTIZE_HELP}`).argParser(
        parseQuantizeFlag,
      ),
    )
    .addOption(
      new Option("--kv-cache <format>", "how keys and values are kept; int8 takes about a quarter of the memory")
        .choices(["f32", "int8"])
        .default("f32"),
    )
    .addOption(
      new Option("--int4-activations <format>", "rounding of activations in front of int4 weights; int8 is fastest")
        .choices(["int8", "int16", "int24"])
        .default("int8"),
    )
    .option("--offline", "never use the network, only the download cache")
    .option("--frames-as-images", "give video frames to the model as pictures, as the later original does");
}

export function addSamplingOptions(command: Command): Command {
  return command
    .option("--max-tokens <n>", "longest answer in tokens", wholeNumber(1), 512)
    .option("--temperature <t>", "0 is greedy (default: 0)", numberBetween(0, 100))
    .option("--top-p <p>", "sample from the smallest set with this probability", numberBetween(0, 1))
    .option("--top-k <k>", "sample from the k likeliest tokens; 0 is all", wholeNumber(0))
    .option("--min-p <p>", "drop tokens below this share of the likeliest", numberBetween(0, 1))
    .option("--repetition-penalty <r>", "above 1 discourages repeats", numberBetween(0.01, 100))
    .option("--seed <n>", "makes sampling repeatable", wholeNumber(0))
    .option("--stop <text...>", "end the answer before any of these texts")
    .option("--max-tiles <n>", "most tiles for one picture (default: the checkpoint's)", wholeNumber(1))
    .option("--system <text>", "system message instead of the template's own");
}

/** The options of `generate` that were given; the rest keep their defaults. */
export function samplingOf(options: SamplingOptions): GenerateOptions {
  const { maxTokens, temperature, topP, topK, minP, repetitionPenalty, seed, stop, maxTiles, system } = options;
  const given = { maxTokens, temperature, topP, topK, minP, repetitionPenalty, seed, stop, maxTiles, system };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as GenerateOptions;
}

/** Told, not silent: answers of a model of five million parameters must not be taken for those of NVILA. */
function bundledModel(): string {
  if (bundledModelFolder() === null) {
    throw new RequestError(
      "model",
      "no model is given, and none is bundled. You can name one with --model or NVILA_MODEL: a folder, or a hub id such as Efficient-Large-Model/NVILA-Lite-2B",
    );
  }
  process.stderr.write(
    `nvila: no model is named, so this is ${BUNDLED_MODEL}, which knows little but the pictures of \`nvila synth\`; --model takes a folder or a hub id\n`,
  );
  return BUNDLED_MODEL;
}

/** Opens the model that the options name, or the bundled one, with progress and warnings on stderr. */
export async function openModel(
  options: ModelOptions,
  line: ProgressLine,
  signal: AbortSignal,
  limits: EngineLimitOptions = {},
): Promise<Nvila> {
  const named = options.model || bundledModel(); // an empty variable names none
  try {
    return await loadModel(named, {
      ...limits,
      device: options.device,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.offline ? { offline: true } : {}), // else the environment decides
      ...(options.quantize ? { quantize: options.quantize } : {}),
      kvCache: options.kvCache,
      int4Activations: options.int4Activations,
      framesAsImages: options.framesAsImages ?? false,
      signal,
      onProgress: ({ label, done, total }) => line.show(`${label} ${done}/${total}`),
      onWarning: (message) => {
        line.clear();
        process.stderr.write(`nvila: warning: ${message}\n`);
      },
    });
  } finally {
    line.clear();
  }
}
