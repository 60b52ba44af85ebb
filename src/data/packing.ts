/**
 * Several samples as one row: media take the places of their tokens, samples follow each other, attention and positions restart at each.
 * The packed loss equals the loss of the samples run one by one. Source: VILA llava/model/llava_arch.py `_embed`,
 * `repack_multimodal_data` at b760c34. DIFFERS: no dummy row and no mask; `cuSeqlens` says all.
 */
import { RequestError } from "../util/errors.ts";
import { joinInto } from "../util/join-into.ts";
import { IGNORED_LABEL } from "./ignored-label.ts";
import { PLACE_SLOTS } from "./places.ts";

export type MediaKind = "image" | "video";

/** A sample with so many rows for each of its media. */
export interface SampleRows {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** Embedding rows of each media token, in order of the tokens. */
  readonly mediaRows: readonly number[];
  /** What the rows of each media item show [rows · PLACE_SLOTS], as ids, or −100; absent: nothing is known. */
  readonly mediaNames?: readonly (readonly number[])[] | undefined;
}

/** Rows [start, end) that one media item fills; its rows beyond them were cut off. */
export interface PlacedMedia {
  readonly kind: MediaKind;
  readonly start: number;
  readonly end: number;
}

/** A sample with media in place. */
export interface FusedSample {
  /** [L]; rows of media hold the id of their media token. */
  readonly ids: Int32Array;
  /** [L]; −100 at media. */
  readonly labels: Int32Array;
  /** [L · PLACE_SLOTS]: what a row of media shows; −100 for others. */
  readonly names: Int32Array;
  /** Media with at least one row left, in order. */
  readonly media: readonly PlacedMedia[];
}

export interface FuseOptions {
  readonly imageId: number;
  readonly videoId: number;
  /** Rows beyond are cut off. Infinity: none (as outside training). */
  readonly maxLength: number;
}

/** @throws RequestError when media and their tokens differ in number. */
export function fuseSample(sample: SampleRows, { imageId, videoId, maxLength }: FuseOptions): FusedSample {
  const ids: number[] = [];
  const labels: number[] = [];
  const names: number[] = [];
  const nothing = new Array<number>(PLACE_SLOTS).fill(IGNORED_LABEL);
  const media: PlacedMedia[] = [];
  let used = 0;
  for (const [i, id] of sample.ids.entries()) {
    const kind = id === imageId ? "image" : id === videoId ? "video" : null;
    const rows = kind === null ? 1 : sample.mediaRows[used++];
    if (rows === undefined) break;
    const start = ids.length;
    const shown = kind === null ? undefined : sample.mediaNames?.[used - 1];
    for (let row = 0; row < rows && ids.length < maxLength; row++) {
      ids.push(id);
      labels.push(kind === null ? sample.labels[i] : IGNORED_LABEL);
      names.push(...(shown ? shown.slice(row * PLACE_SLOTS, (row + 1) * PLACE_SLOTS) : nothing));
    }
    if (kind !== null && ids.length > start) media.push({ kind, start, end: ids.length });
  }
  const tokens = sample.ids.filter((id) => id === imageId || id === videoId).length;
  if (tokens !== sample.mediaRows.length) {
    throw new RequestError("data", `expected media for ${tokens} media tokens, got ${sample.mediaRows.length}`);
  }
  return { ids: Int32Array.from(ids), labels: Int32Array.from(labels), names: Int32Array.from(names), media };
}

/** One row of samples. T is the sum of their lengths. */
export interface PackedRow {
  /** [T] */
  readonly inputIds: Int32Array;
  /** [T]; the first label of every sample is −100, so that none is predicted from the sample before it. */
  readonly labels: Int32Array;
  /** [T · PLACE_SLOTS]: what a row of media shows (src/data/places.ts), or −100. */
  readonly names: Int32Array;
  /** [T]; restart at 0 with every sample. */
  readonly positions: Int32Array;
  /** [samples + 1]: 0 first, T last. */
  readonly cuSeqlens: Int32Array;
  /** Media of all samples in order, in rows of the packed row. */
  readonly media: readonly PlacedMedia[];
}

/** Samples without a row are left out. @throws RequestError when nothing is left. */
export function packSamples(samples: readonly FusedSample[]): PackedRow {
  const kept = samples.filter((sample) => sample.ids.length > 0);
  if (kept.length === 0) throw new RequestError("data", "expected at least one token to pack, got none");
  const cuSeqlens = Int32Array.of(0, ...kept.map((sample) => sample.ids.length));
  for (let i = 1; i < cuSeqlens.length; i++) cuSeqlens[i] += cuSeqlens[i - 1];
  const labels = joined(kept.map((sample) => sample.labels));
  for (const start of cuSeqlens.subarray(0, -1)) labels[start] = IGNORED_LABEL;
  return {
    inputIds: joined(kept.map((sample) => sample.ids)),
    labels,
    names: joined(kept.map((sample) => sample.names)),
    positions: joined(kept.map((sample) => sample.ids.map((_, i) => i))),
    cuSeqlens,
    media: kept.flatMap((sample, i) =>
      sample.media.map(({ kind, start, end }) => ({ kind, start: start + cuSeqlens[i], end: end + cuSeqlens[i] })),
    ),
  };
}

/** Thousands of numbers a sample: copied into place, not gathered one by one. */
function joined(parts: readonly Int32Array[]): Int32Array {
  return joinInto(new Int32Array(parts.reduce((sum, part) => sum + part.length, 0)), parts);
}
