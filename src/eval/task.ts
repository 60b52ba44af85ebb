/**
 * What an evaluation task is: data and a score, nothing that needs a model or a file system. A task is one small file in tasks/; whoever runs
 * it asks for examples by number, lets a model answer, and hands each response back to `evaluate`.
 */
import type { Canvas } from "../synth/canvas.ts";
import type { Metric } from "../synth/example.ts";

/** What goes in front of the question. */
export type EvalMedia =
  | { readonly type: "frames"; readonly frames: readonly Canvas[]; readonly framesPerSecond: number | null }
  | { readonly type: "file"; readonly kind: "image" | "video"; readonly source: string | Uint8Array };

export interface EvalExample {
  readonly id: string;
  readonly media: readonly EvalMedia[];
  /** The whole text of the prompt, instructions included. */
  readonly question: string;
  readonly answers: readonly string[];
  readonly metric: Metric;
  /** What is asked for, for the breakdown. */
  readonly kind: string;
  /** Score of a guess without looking, 0 … 1. */
  readonly chance: number;
  /** Of the video, when the metric needs it. */
  readonly durationSeconds: number | null;
}

export interface EvalTask {
  readonly name: string;
  /** Name of the score that is reported: "ANLS". */
  readonly headline: string;
  readonly numExamples: number;
  /** Longest answer in tokens. */
  readonly maxTokens: number;
  /** Changes when the same number gives another example: part of what decides whether a stored answer still counts. */
  readonly fingerprint: string;
  /** @throws RequestError when the example is damaged. */
  getExample(index: number): EvalExample | Promise<EvalExample>;
}

export interface Verdict {
  /** 0 … 1. */
  readonly score: number;
  /** What was read out of the response; null when nothing could be. */
  readonly parsed: string | null;
}
