/**
 * From projected features to the rows that replace one media token: temporal pooling of videos and the embeddings of start, end and
 * separator tokens. Knows no tokenizer: tokens come as embedding rows.
 * Source: NVILA paper §3.1.2; VILA `llava/model/encoders/{image/basic,video/basic,video/tsp}.py` at b760c34.
 */
import * as ops from "../../tensor/ops.ts";
import { scope } from "../../tensor/scope.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { RequestError } from "../../util/errors.ts";

/** Embedding rows [tokens, H] around features; null: none. */
export interface EncoderRows {
  readonly start: Tensor | null;
  readonly end: Tensor | null;
  /** After each pool size; temporal pooling only. */
  readonly sep: Tensor | null;
}

/** Frames, rows and columns of features that become one. */
export type PoolSize = readonly [frames: number, rows: number, cols: number];

/** BasicImageEncoder: features[n, H] → start ++ features ++ end. */
export function encodeImage(features: Tensor, { start, end }: EncoderRows): Tensor {
  return ops.concatRows([start, features, end].filter((part) => part !== null));
}

/** BasicVideoEncoder: frames[F, n, H] → every frame with its start and end, one after the other. */
export function encodeFrames(frames: Tensor, rows: EncoderRows): Tensor {
  return scope(() => ops.concatRows(framesOf(frames).map((frame) => encodeImage(frame, rows))));
}

/**
 * TSPVideoEncoder on consecutive frames[F, n, H] of a video: for every pool size, from the frames as they came, means over windows, each
 * pooled frame with its start and end. One entry per pool size; several calls make a longer video when each gets whole windows of frames.
 */
export function poolFrames(frames: Tensor, poolSizes: readonly PoolSize[], rows: EncoderRows): Tensor[] {
  const [F, N, H] = frames.shape;
  const l = Math.round(Math.sqrt(N));
  return poolSizes.map((window) =>
    scope(() => {
      const pooled = ops.pool3d(frames.reshape([F, l, l, H]), window); // [F/pt, l/ph, l/pw, H]
      const [slots, h, w] = pooled.shape;
      return encodeFrames(pooled.reshape([slots, h * w, H]), rows);
    }),
  );
}

/** What a video becomes: all groups of a pool size in order, then the separator, then the next pool size. groups[g][size] = [·, H]. */
export function joinFrameGroups(groups: readonly (readonly Tensor[])[], { sep }: EncoderRows): Tensor {
  const sizes = groups[0].map((_, size) => groups.map((group) => group[size]));
  return ops.concatRows(sizes.flatMap((parts) => (sep ? [...parts, sep] : parts))); // [L, H]
}

/** Frames that must go through pooling together: the smallest number that every window divides. */
export function framesPerGroup(poolSizes: readonly PoolSize[]): number {
  return poolSizes.reduce((all, [pt]) => (all / gcd(all, pt)) * pt, 1);
}

/** @throws RequestError when a window does not divide the frames or the grid of tokens. */
export function expectWholeWindows(poolSizes: readonly PoolSize[], frames: number, tokensPerFrame: number): void {
  const side = Math.round(Math.sqrt(tokensPerFrame));
  for (const [pt, ph, pw] of poolSizes) {
    if (frames % pt !== 0) {
      throw new RequestError(
        "video",
        `expected a number of frames that is a multiple of ${pt} (the model pools groups of ${pt}), got ${frames}. You can set the number of frames`,
      );
    }
    if (side % ph !== 0 || side % pw !== 0) {
      throw new RequestError(
        "video",
        `pool size ${pt}×${ph}×${pw} does not divide the ${side}×${side} tokens of a frame`,
      );
    }
  }
}

/**
 * Rows that a video of F frames of n tokens becomes by pooling, with `around` rows around each pooled frame and `sep` after each size.
 *
 * @throws RequestError when a window does not divide the frames or the grid of tokens.
 */
export function pooledRowCount(
  F: number,
  n: number,
  poolSizes: readonly PoolSize[],
  rows: { readonly around: number; readonly sep: number },
): number {
  expectWholeWindows(poolSizes, F, n);
  const l = Math.round(Math.sqrt(n));
  return poolSizes.reduce((sum, [pt, ph, pw]) => sum + (F / pt) * ((l / ph) * (l / pw) + rows.around) + rows.sep, 0);
}

function framesOf(frames: Tensor): Tensor[] {
  const [F, N, H] = frames.shape;
  return Array.from({ length: F }, (_, f) => frames.rows(f, f + 1).reshape([N, H]));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
