/**
 * The loss of one micro-batch: samples packed into one row of tokens, media encoded and put into their places, attention within each
 * sample, cross entropy of the rows that have a target. Source: VILA `llava/model/language_model/llava_llama.py`, `llava_arch.py`
 * repack_multimodal_data at b760c34.
 */
import type { PackedRow } from "../data/packing.ts";
import type { MediaInput, NvilaModel } from "../models/nvila/nvila-model.ts";
import type { MediaRows } from "../models/nvila/splice.ts";
import { PackedAttention } from "../nn/packed-attention.ts";
import { linearCrossEntropy } from "../tensor/losses.ts";
import * as ops from "../tensor/ops.ts";
import type { Steps } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";
import { rowsWithTarget, shiftedTargets } from "./targets.ts";

/** Samples of one micro-batch. */
export interface TrainingBatch {
  readonly row: PackedRow;
  /** Pictures and videos of all samples; each kind in the order of its tokens. */
  readonly calls: readonly MediaInput[];
}

export interface LossOptions {
  /** What the loss of one item counts in the gradient: 1 / N with the items of the whole global batch. */
  readonly itemWeight: number;
  /** Time tokens, whose targets are spread over their neighbours; null: none. */
  readonly soft?: { readonly ids: Int32Array; readonly std: number } | null;
}

/** What a micro-batch cost. */
export interface LearntBatch {
  /** Unweighted. */
  readonly losses: Tensor;
  /** Items that each of them is the mean of. */
  readonly count: number;
}

/** What is learnt of a batch. The loss of a step is the mean over the items of its global batch. */
export interface Objective {
  /** Tokens to predict, or pairs to tell apart. */
  items(batch: Pick<TrainingBatch, "row">): number;
  /** Null when there is nothing to learn. With a tape open the gradients are noted. @throws RequestError when media and their places do not match. */
  loss(model: NvilaModel, batch: TrainingBatch, options: LossOptions): LearntBatch | null;
}

/** The next token of what is labelled. */
export const LANGUAGE_OBJECTIVE: Objective = {
  items: ({ row }) =>
    rowsWithTarget(shiftedTargets(row.labels, row.cuSeqlens)).length + rowsWithTarget(row.names).length,
  loss: (model, batch, options) => {
    const losses = batchLoss(model, batch, options);
    return losses && { losses, count: 1 };
  },
};

/** What visual tokens show, without a pass of the language model: only its head reads them. */
export const PLACES_OBJECTIVE: Objective = {
  items: ({ row }) => rowsWithTarget(row.names).length,
  loss: (model, { row, calls }, options) => {
    const shown = rowsWithTarget(row.names);
    if (shown.length === 0) return null;
    const embeds = fuse(model, row, completed(model.encodeMedia(calls)));
    const losses = tokenLosses(
      model,
      shownRows(model, embeds, shown),
      shown.map((t) => row.names[t]),
      options,
    );
    return { losses, count: 1 };
  },
};

/**
 * Losses of the tokens that are predicted and of what visual tokens show [n], unweighted; null when there is none. With a tape open the gradients
 * are noted.
 * @throws RequestError when media and their places do not match.
 */
export function batchLoss(model: NvilaModel, batch: TrainingBatch, options: LossOptions): Tensor | null {
  const { row, calls } = batch;
  const targets = shiftedTargets(row.labels, row.cuSeqlens);
  const wanted = rowsWithTarget(targets);
  const shown = rowsWithTarget(row.names);
  if (wanted.length === 0) return null;
  const media = completed(model.encodeMedia(calls));
  const embeds = fuse(model, row, media); // [T, H]
  const cache = new PackedAttention(row.cuSeqlens);
  const hidden = completed(
    model.llm.hiddenRows({
      embeds,
      positions: row.positions,
      caches: model.llm.blocks.map(() => cache),
      wantedRows: wanted,
    }),
  ); // [n, H]
  const told = wanted.map((t) => targets[t]);
  if (shown.length === 0) return tokenLosses(model, hidden, told, options);
  const all = ops.concatRows([hidden, shownRows(model, embeds, shown)]);
  return tokenLosses(model, all, Int32Array.of(...told, ...shown.map((t) => row.names[t])), options);
}

/**
 * Visual tokens as the head would read them if there were no layers in between [n, H]: what they are to be like is the row of their name in the
 * table of tokens, which the language model can read already (docs/decisions/0015-places.md).
 */
function shownRows(model: NvilaModel, embeds: Tensor, rows: Int32Array): Tensor {
  return model.llm.norm.forward(ops.embedding(rows, embeds));
}

function tokenLosses(
  model: NvilaModel,
  hidden: Tensor,
  targets: Int32Array,
  { itemWeight, soft = null }: LossOptions,
): Tensor {
  const head = model.llm.lmHead.weight;
  if (!(head instanceof Tensor)) throw new UnsupportedError("train", "the head is quantised");
  return linearCrossEntropy(hidden, head, {
    targets,
    weights: new Float32Array(targets.length).fill(itemWeight),
    soft,
  });
}

/** Embedding rows [T, H] of a packed row, media in their places. */
function fuse(model: NvilaModel, row: PackedRow, media: readonly MediaRows[]): Tensor {
  const queues = {
    image: media.filter(({ kind }) => kind === "image"),
    video: media.filter(({ kind }) => kind === "video"),
  };
  const isText = new Uint8Array(row.inputIds.length).fill(1);
  for (const { start, end } of row.media) isText.fill(0, start, end);
  const textIds = row.inputIds.filter((_, t) => isText[t] === 1);
  const text = model.llm.embed(textIds); // [text rows, H]
  const parts: Tensor[] = [];
  let taken = 0;
  let at = 0;
  const takeText = (end: number): void => {
    if (end > at) parts.push(text.rows(taken, taken + end - at));
    taken += end - at;
    at = end;
  };
  for (const { kind, start, end } of row.media) {
    takeText(start);
    const rows = queues[kind].shift()?.rows;
    if (!rows || rows.shape[0] < end - start) {
      throw new RequestError(
        "train",
        `expected ${end - start} rows for the ${kind} at row ${start}, got ${rows?.shape[0] ?? 0}`,
      );
    }
    parts.push(rows.rows(0, end - start));
    at = end;
  }
  takeText(row.inputIds.length);
  return ops.concatRows(parts);
}

/** Drives work in steps to its end: inside a tape nothing may wait. */
export function completed<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
