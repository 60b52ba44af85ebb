/** One answer with everything that was computed on the way. */
import { checkGenerateOptions } from "../../src/api/generate-options.ts";
import type { GenerationResult } from "../../src/api/generation.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import { checkMessages, type PromptInput } from "../../src/api/messages.ts";
import type { PreparedRequest } from "../../src/api/prepare-request.ts";
import { runRequest } from "../../src/api/run-request.ts";
import type { MediaKind } from "../../src/models/nvila/splice.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Values with their shape. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Of one call of the vision tower: [tiles or blocks, tokens, width]. */
export type CallActivations = Readonly<Record<"vision" | "blocks" | "projected", Values>>;

export interface Activations {
  readonly result: GenerationResult;
  readonly request: PreparedRequest;
  readonly calls: readonly CallActivations[];
  readonly mediaRows: Readonly<Record<MediaKind, readonly Values[]>>;
  readonly inputsEmbeds: Values;
  /** [layers + 1, L, C] */
  readonly hiddenStates: Values;
  /** [steps, V]; the first row belongs to the last position of the prompt. */
  readonly stepLogits: Values;
}

export async function answerWithActivations(
  loaded: LocalModel,
  input: PromptInput,
  maxTokens: number,
): Promise<Activations> {
  let request: PreparedRequest | null = null;
  const calls: Record<"vision" | "blocks" | "projected", Promise<Values>[]>[] = [];
  const mediaRows: Record<MediaKind, Promise<Values>[]> = { image: [], video: [] };
  const prompt: Promise<Values>[] = [];
  const hidden: Promise<Values>[] = [];
  const logits: Values[] = [];
  const result = await runRequest(loaded, checkMessages(input), checkGenerateOptions({ maxTokens }), {
    emit: () => {},
    signal: new AbortController().signal,
    askedMs: performance.now(),
    taps: {
      request: (prepared) => {
        request = prepared;
      },
      stage: (call, stage, x) => {
        calls[call] ??= { vision: [], blocks: [], projected: [] };
        calls[call][stage].push(read(x));
      },
      media: (rows) => {
        for (const item of rows) mediaRows[item.kind].push(read(item.rows));
      },
      prompt: ({ embeds }) => prompt.push(read(embeds)),
      layer: (_, x) => hidden.push(read(x)),
      logits: (values) => logits.push({ shape: [values.length], values }),
    },
  });
  if (request === null) throw new Error("the request was not seen");
  return {
    result,
    request,
    calls: await Promise.all(
      calls.map(async ({ vision, blocks, projected }) => ({
        vision: joined(await Promise.all(vision)),
        blocks: joined(await Promise.all(blocks)),
        projected: joined(await Promise.all(projected)),
      })),
    ),
    mediaRows: { image: await Promise.all(mediaRows.image), video: await Promise.all(mediaRows.video) },
    inputsEmbeds: await prompt[0],
    hiddenStates: stacked(await Promise.all(hidden)),
    stepLogits: stacked(logits),
  };
}

/** The values are copied before the first await: the memory of a tapped tensor is reused. */
async function read(x: Tensor): Promise<Values> {
  const { shape } = x;
  return { shape, values: await x.readF32() };
}

/** Parts [Tᵢ, …] below each other. */
function joined(parts: readonly Values[]): Values {
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { shape: [parts.reduce((sum, { shape }) => sum + shape[0], 0), ...parts[0].shape.slice(1)], values };
}

/** Equal parts as the rows of a new axis. */
function stacked(parts: readonly Values[]): Values {
  return { shape: [parts.length, ...parts[0].shape], values: joined(parts).values };
}
