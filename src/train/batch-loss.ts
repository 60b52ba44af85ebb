/**
 * The loss of one micro-batch: samples packed into one row of tokens, media encoded and put into their places, attention within each
 * sample, cross entropy of the rows that have a target. Source: VILA `llava/model/language_model/llava_llama.py`, `llava_arch.py`
 * repack_multimodal_data at b760c34.
 */
import type { PackedRow } from "../data/packing.ts";
import { PLACE_SLOTS } from "../data/places.ts";
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
  /** How many of them, at the end, are of names of visual tokens. Default 0. */
  readonly named?: number;
}

/** What is learnt of a batch. The loss of a step is the mean over the items of its global batch. */
export interface Objective {
  /** Tokens to predict, or pairs to tell apart. */
  items(batch: Pick<TrainingBatch, "row">): number;
  /** Null when there is nothing to learn. With a tape open the gradients are noted. @throws RequestError when media and their places do not match. */
  loss(model: NvilaModel, batch: TrainingBatch, options: LossOptions): LearntBatch | null;
}

/** The next token of what is labelled, and what visual tokens show. */
export const LANGUAGE_OBJECTIVE: Objective = languageObjective(encodedMedia);

/** The same, with visual tokens that are what they should be like: no tower, no projector. */
export const NAMES_OBJECTIVE: Objective = languageObjective(namedMedia);

/** Rows of the media of a batch. */
type MediaSource = (model: NvilaModel, batch: TrainingBatch) => MediaRows[];

function languageObjective(media: MediaSource): Objective {
  return {
    items: ({ row }) =>
      rowsWithTarget(shiftedTargets(row.labels, row.cuSeqlens)).length + rowsWithTarget(row.names).length,
    loss: (model, batch, options) => {
      const losses = batchLoss(model, batch, options, media);
      return losses && { losses, count: 1, named: rowsWithTarget(batch.row.names).length };
    },
  };
}

/** What visual tokens show, without a pass of the language model: only its head reads them. */
export const PLACES_OBJECTIVE: Objective = {
  items: ({ row }) => rowsWithTarget(row.names).length,
  loss: (model, batch, options) => {
    const { row } = batch;
    const shown = rowsWithTarget(row.names);
    if (shown.length === 0) return null;
    const embeds = fuse(model, row, encodedMedia(model, batch));
    const losses = tokenLosses(
      model,
      shownRows(model, embeds, shown),
      shown.map((t) => row.names[t]),
      options,
    );
    return { losses, count: 1, named: shown.length };
  },
};

/**
 * Losses of the tokens that are predicted and of what visual tokens show [n], unweighted; null when there is none. With a tape open the gradients
 * are noted.
 * @throws RequestError when media and their places do not match.
 */
export function batchLoss(
  model: NvilaModel,
  batch: TrainingBatch,
  options: LossOptions,
  mediaOf: MediaSource = encodedMedia,
): Tensor | null {
  const { row } = batch;
  const targets = shiftedTargets(row.labels, row.cuSeqlens);
  const wanted = rowsWithTarget(targets);
  const shown = rowsWithTarget(row.names);
  if (wanted.length === 0) return null;
  const embeds = fuse(model, row, mediaOf(model, batch)); // [T, H]
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
  const both = new Int32Array(told.length + shown.length); // too many for arguments of one call
  both.set(told);
  both.set(
    shown.map((t) => row.names[t]),
    told.length,
  );
  return tokenLosses(model, ops.concatRows([hidden, shownRows(model, embeds, shown)]), both, options);
}

function encodedMedia(model: NvilaModel, { calls }: TrainingBatch): MediaRows[] {
  return completed(model.encodeMedia(calls));
}

/** Parts of a row that move when a token holds several ids: id number j lies j parts further on. */
const PARTS = 8;

/**
 * Visual tokens as the head would read them if there were no layers in between [n, H]: what they are to be like is the sum of their ids' rows in
 * the table of tokens, each moved on by its number, which the language model can tell apart (docs/decisions/0015-places.md).
 *
 * @param shown Numbers of ids in `PackedRow.names`.
 */
function shownRows(model: NvilaModel, embeds: Tensor, shown: Int32Array): Tensor {
  const parts = new Int32Array(shown.length * PARTS);
  for (const [i, id] of shown.entries()) {
    const [row, slot] = [Math.floor(id / PLACE_SLOTS), id % PLACE_SLOTS];
    for (let part = 0; part < PARTS; part++) parts[i * PARTS + part] = row * PARTS + ((part + slot) % PARTS);
  }
  return model.llm.norm.forward(gatherParts(embeds, parts));
}

/** Rows made of parts of other rows: part number i of the result is part `parts[i]` of `source`. */
function gatherParts(source: Tensor, parts: Int32Array): Tensor {
  const [, width] = source.shape;
  if (width % PARTS !== 0)
    throw new UnsupportedError("train", `places need a width that ${PARTS} divides, not ${width}`);
  const cut = source.reshape([source.shape[0] * PARTS, width / PARTS]);
  return ops.embedding(parts, cut).reshape([parts.length / PARTS, width]);
}

/** Media of a packed row, their visual tokens made of the rows of their ids in the table of tokens. */
function namedMedia(model: NvilaModel, { row }: TrainingBatch): MediaRows[] {
  return row.media.map(({ kind, start, end }) => {
    const names = row.names.subarray(start * PLACE_SLOTS, end * PLACE_SLOTS);
    const table = model.llm.embed(names.map((id) => Math.max(id, 0))); // [rows · PLACE_SLOTS, H]
    const [, width] = table.shape;
    const nothing = Tensor.from(table.backend, "f32", new Float32Array(width), [1, width]);
    const rows = ops.concatRows([table, nothing]);
    let sum: Tensor | null = null;
    for (let slot = 0; slot < PLACE_SLOTS; slot++) {
      const parts = Int32Array.from({ length: (end - start) * PARTS }, (_, i) => {
        const name = Math.floor(i / PARTS) * PLACE_SLOTS + slot;
        const from = names[name] < 0 ? names.length : name;
        return from * PARTS + ((i + PARTS - slot) % PARTS);
      });
      const part = gatherParts(rows, parts);
      sum = sum ? ops.add(sum, part) : part;
    }
    return { kind, rows: sum as Tensor };
  });
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
