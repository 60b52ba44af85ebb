/**
 * When something happens in a video: spans written as `<3.5> <7>`, their overlap, and the two ways to average it.
 * Source: VILA `llava/eval/rtl.py`, `rtl_nv_lita.py` at b760c34, LITA 02b2b6e.
 */
import { groupBy } from "../../util/group-by.ts";
import { pythonFloat } from "../../util/python-number.ts";

/** Seconds, start before end. */
export type Span = readonly [start: number, end: number];

/** The first two `<seconds>` of a text, clamped to the video and in order; null with fewer than two. */
export function parseSpan(text: string, durationSeconds: number): Span | null {
  const times = [...text.matchAll(/<(\d*\.\d+|\d+\.?)>/g)].slice(0, 2).map((match) => Number(match[1]));
  if (times.length < 2) return null;
  const [a, b] = times.map((time) => Math.min(Math.max(time, 0), durationSeconds));
  return [Math.min(a, b), Math.max(a, b)];
}

/** `parseSpan`, or the whole video for an answer that names no span. */
export function parsePredictedSpan(text: string, durationSeconds: number): Span {
  return parseSpan(text, durationSeconds) ?? [0, durationSeconds];
}

/** Intersection over union; 0 when the union is empty, even for two equal moments. */
export function temporalIou(a: Span, b: Span): number {
  const common = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
  const union = a[1] - a[0] + (b[1] - b[0]) - common;
  return union > 0 ? common / union : 0;
}

export interface SpanOutput {
  readonly video: string;
  readonly iou: number;
}

export interface SpanScores {
  readonly iou: number;
  /** Fraction with an overlap of at least one half. */
  readonly precisionAtHalf: number;
}

/** Mean per video, then over videos: the published figure. */
export function spanScoresPerVideo(outputs: readonly SpanOutput[]): SpanScores {
  const videos = groupBy(outputs, (output) => output.video);
  const scores = [...videos.values()].map(spanScoresPerQuestion);
  return { iou: mean(scores.map((s) => s.iou)), precisionAtHalf: mean(scores.map((s) => s.precisionAtHalf)) };
}

/** Mean over questions. */
export function spanScoresPerQuestion(outputs: readonly { readonly iou: number }[]): SpanScores {
  return {
    iou: mean(outputs.map((output) => output.iou)),
    precisionAtHalf: mean(outputs.map((output) => (output.iou >= 0.5 ? 1 : 0))),
  };
}

/** The two scores on the first line of a judge's review of a reasoning answer; [−1, −1] when it is not two numbers. */
export function parseReviewScores(review: string): [number, number] {
  const parts = review.split("\n")[0].replaceAll(",", " ").split(" ");
  const scores = parts.map(pythonFloat);
  return parts.length === 2 && scores[0] !== null && scores[1] !== null ? [scores[0], scores[1]] : [-1, -1];
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}
