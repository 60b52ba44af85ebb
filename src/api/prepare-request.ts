/**
 * Everything of a request that needs no model arithmetic: decode media, cut tiles, build the prompt, count its rows. Afterwards it is
 * known whether the prompt fits.
 */
import { mediaRowCounts } from "../models/nvila/media-row-counts.ts";
import { areFramesTiled, type ImageOptions, isTiled, scaleGrids, shrinkUntiled } from "../preprocess/image-plan.ts";
import { buildPrompt, type MediaRowSpan, mediaSpans, type Prompt } from "../preprocess/prompt.ts";
import { RequestError } from "../util/errors.ts";
import { decodeImagePart, decodeVideoPart } from "./decode-media.ts";
import type { MediaReport } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { type DecodedMedia, type MediaPlan, planMedia } from "./media-plan.ts";
import type { CheckedMessage } from "./messages.ts";
import type { ImagePart, VideoPart } from "./parts.ts";
import type { Progress } from "./progress.ts";

export interface PreparedRequest {
  readonly prompt: Prompt;
  readonly plan: MediaPlan;
  /** Rows of the prompt with media in place. */
  readonly length: number;
  readonly spans: readonly MediaRowSpan[];
  readonly media: readonly MediaReport[];
  /** Duration of the last video, for time tokens; null without one or when its source has no clock. */
  readonly videoSeconds: number | null;
}

export interface PrepareOptions {
  readonly maxTiles: number | null;
  readonly signal: AbortSignal;
  readonly pace: () => Promise<void> | void;
  readonly onProgress: (progress: Progress) => void;
}

/** @throws RequestError, UnsupportedError when media cannot be read or the conversation cannot be templated. */
export async function prepareRequest(
  loaded: LoadedModel,
  messages: readonly CheckedMessage[],
  options: PrepareOptions,
): Promise<PreparedRequest> {
  const { config, facts, framesAsImages, s2, tokenizer, tokens } = loaded;
  const image: ImageOptions =
    options.maxTiles === null ? config.image : { ...config.image, maxTiles: options.maxTiles };
  const { media, videoSeconds } = await decodeMedia(loaded, messages, image, options);
  const plan = planMedia(media, { image, normalization: config.pixels, framesAsImages });
  await options.pace();
  const prompt = buildPrompt(tokenizer, messages, {
    imageTiles: plan.imageTiles,
    videoFrames: plan.videoFrames,
    onWarning: loaded.onWarning,
  });
  const queues = { image: [] as number[], video: [] as number[] };
  const sizes = { s2, tokens, tokensPerBlock: facts.tokensPerBlock, videoEncoder: config.model.videoEncoder };
  for (const call of plan.calls) queues[call.kind].push(...mediaRowCounts(sizes, call));
  const rows = prompt.media.map(({ kind }) => queues[kind].shift() ?? 0);
  const { spans, length } = mediaSpans(prompt.ids, tokenizer.imageId, tokenizer.videoId, rows);
  return { prompt, plan, length, spans, media: reportMedia(loaded, media, plan, prompt, spans), videoSeconds };
}

async function decodeMedia(
  { config, framesAsImages }: LoadedModel,
  messages: readonly CheckedMessage[],
  image: ImageOptions,
  { signal, pace, onProgress }: PrepareOptions,
): Promise<{ media: DecodedMedia[]; videoSeconds: number | null }> {
  const parts = messages.flatMap((message) => message.parts).filter((part) => part.type !== "text");
  const pictures = parts.filter((part) => part.type === "image" || framesAsImages).length;
  // Large pictures that will be one tile become that tile at once. With one video as pictures the number is not known yet.
  const isOnePicture = isTiled(pictures, image);
  const shrinksFrames = framesAsImages ? !isOnePicture : !areFramesTiled(image);
  const media: DecodedMedia[] = [];
  let videoSeconds: number | null = null;
  const report = (): void =>
    onProgress({ stage: "media", label: "media decoded", done: media.length, total: parts.length });
  for (const [index, part] of parts.entries()) {
    const label = `${part.type} ${index + 1} of the prompt`;
    if (part.type === "image") {
      const { width, height, ...rest } = await decodeImagePart(part as ImagePart, { label, signal });
      const whole = { width, height, ...rest };
      media.push({ kind: "image", image: isOnePicture ? whole : shrinkUntiled(whole, image), width, height });
    } else {
      const video = await decodeVideoPart(part as VideoPart, {
        label,
        signal,
        sampling: samplingOf(part as VideoPart, config.video),
        shrink: (frame) => (shrinksFrames ? shrinkUntiled(frame, image) : frame),
      });
      const { frames, width, height, frameSeconds } = video;
      if (frames.length === 0) throw new RequestError("video", `expected at least one frame in ${label}, got none`);
      media.push({ kind: "video", frames, width, height, frameSeconds });
      videoSeconds = video.durationSeconds;
    }
    report();
    await pace();
  }
  return { media, videoSeconds };
}

/** @throws RequestError when neither the part nor the checkpoint says how many frames. */
function samplingOf(
  part: VideoPart,
  video: { readonly numFrames: number | null; readonly fps: number | null },
): { numFrames: number; fps: number } {
  const numFrames = part.frames ?? video.numFrames;
  if (numFrames === null) {
    throw new RequestError(
      "video",
      "this checkpoint does not say how many frames it takes (num_video_frames). You can give `frames` with the video",
    );
  }
  return { numFrames, fps: part.fps ?? video.fps ?? 0 };
}

function reportMedia(
  { config, facts, framesAsImages }: LoadedModel,
  media: readonly DecodedMedia[],
  plan: MediaPlan,
  prompt: Prompt,
  spans: readonly MediaRowSpan[],
): MediaReport[] {
  const poolSize = framesAsImages ? undefined : config.videoEncoder.poolSizes[0];
  return media.map((item, part) => {
    const { kind, width, height } = item;
    const own = spans.filter((_, token) => prompt.media[token].part === part);
    const { tiles, grid } = plan.parts[part];
    return {
      kind,
      width,
      height,
      grid: grid ? [grid.cols, grid.rows] : [1, 1],
      scales: scaleGrids(grid, config.image),
      tiles,
      patchTokens: tiles * facts.tokensPerTile,
      tokens: own.reduce((sum, { start, end }) => sum + end - start, 0),
      spans: own.map(({ start, end }): [number, number] => [start, end]),
      frameSeconds: item.kind === "video" ? item.frameSeconds : null,
      pooling: (kind === "video" ? poolSize : undefined) ?? null,
    };
  });
}
