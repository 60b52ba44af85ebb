/** A training run on a few pictures of one colour each: what the trainer's tests share. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { readRegistry } from "../../src/loader/registry.ts";
import type { Recipe, Stage } from "../../src/trainer/recipe.ts";
import { type TrainOptions, train } from "../../src/trainer/train.ts";
import type { LoggedStep } from "../../src/trainer/train-stage.ts";

/** One stage in which everything learns. */
export const STAGE: Stage = {
  name: "all",
  tune: { vision: true, projector: true, llm: true },
  learningRate: 3e-3,
  globalBatch: 4,
  microBatch: 2,
  maxLength: 512,
  mixture: "colours",
  epochs: 8,
  warmupRatio: 0.03,
  parameters: "f32",
  optimizer: "adamw",
  weightDecay: 0,
  maxGradientNorm: 1,
  activations: "keep",
  saveSteps: 3,
  sees: "pictures",
  learns: "answers",
  labelMode: "span",
  softStd: 1,
};

export const recipe = (stage: Partial<Stage> = {}): Recipe => ({
  name: "test",
  source: "",
  seed: 7,
  stages: [{ ...STAGE, ...stage }],
});

type Colour = readonly [r: number, g: number, b: number];
/** `media/<name>.png` of each. */
export const COLOURS = {
  red: [220, 20, 20],
  green: [20, 200, 20],
  blue: [20, 20, 220],
  white: [250, 250, 250],
} as const satisfies Record<string, Colour>;

/** A run that was made, or stopped: its steps, and what it warned of. */
export interface SmallRun {
  readonly steps: LoggedStep[];
  readonly losses: number[];
  readonly warnings: string[];
}

/** A checkpoint with random weights and the set `colours`, four samples each of red, green and blue, in `folder`. */
export class SmallRuns {
  readonly folder: string;
  readonly start: string;

  constructor(folder: string) {
    this.folder = folder;
    this.start = join(folder, "start");
  }

  /** @param others Further sets: name → samples. */
  async prepare(others: Readonly<Record<string, readonly object[]>> = {}): Promise<void> {
    const { folder } = this;
    await writeRandomCheckpoint("nvila-tiny-random-lite", this.start, { dtype: "f32", seed: 1 });
    mkdirSync(join(folder, "media"));
    for (const [name, [r, g, b]] of Object.entries(COLOURS)) {
      const png = sharp({ create: { width: 40, height: 40, channels: 3, background: { r, g, b } } }).png();
      writeFileSync(join(folder, `media/${name}.png`), await png.toBuffer());
    }
    const colours = ["red", "green", "blue"].flatMap((name) =>
      Array.from({ length: 4 }, (_, i) => ({ id: `${name}-${i}`, ...picture(name, "Which colour?") })),
    );
    const sets = Object.entries({ colours, ...others });
    for (const [name, samples] of sets) {
      writeFileSync(join(folder, `${name}.jsonl`), samples.map((sample) => JSON.stringify(sample)).join("\n"));
    }
    const datasets = Object.fromEntries(sets.map(([name]) => [name, { data: `${name}.jsonl`, mediaDir: "media" }]));
    writeFileSync(join(folder, "registry.json"), JSON.stringify({ datasets }));
  }

  /**
   * Runs or goes on.
   * @param own.stopAfter Step after which the user presses Ctrl-C.
   * @param own Others: as `train` takes them; default: from `start`, on the `cpu` backend with two threads.
   */
  async run(
    out: string,
    stages: Recipe,
    { stopAfter = Number.POSITIVE_INFINITY, ...own }: Partial<TrainOptions> & { readonly stopAfter?: number } = {},
  ): Promise<SmallRun> {
    const controller = new AbortController();
    const [steps, warnings]: [LoggedStep[], string[]] = [[], []];
    await train(stages, {
      from: this.start,
      out: join(this.folder, out),
      registry: await readRegistry(join(this.folder, "registry.json")),
      mixture: null,
      threads: 2,
      decodeThreads: 0,
      ...own,
      signal: controller.signal,
      onStep: (_, step) => {
        steps.push(step);
        if (step.step >= stopAfter) controller.abort(new Error("stopped"));
      },
      onWarning: (message) => void warnings.push(message),
    }).catch((error: unknown) => {
      if (!(error instanceof Error && error.message === "stopped")) throw error;
    });
    return { steps, losses: steps.map(({ loss }) => loss), warnings };
  }

  /** Bytes of the three weight files that a run left, or that it began with. */
  weights(out: string | null): Buffer[] {
    const model = out === null ? this.start : join(this.folder, out, STAGE.name, "model");
    return ["llm", "vision_tower", "mm_projector"].map((part) => readFileSync(join(model, part, "model.safetensors")));
  }
}

/** A question about the picture of a colour, whose name is the answer. */
export function picture(name: string, question: string): object {
  return { image: `${name}.png`, ...conversation(`<image>\n${question}`, name) };
}

/** One question and its answer. */
export function conversation(question: string, answer: string): { conversations: object[] } {
  return {
    conversations: [
      { from: "human", value: question },
      { from: "gpt", value: answer },
    ],
  };
}
