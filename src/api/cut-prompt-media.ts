/** From the media parts of a prompt to tiles, or to those that an earlier prompt with the same media has left. */
import { areFramesTiled, type ImageOptions, isTiled, shrinkUntiled } from "../preprocess/image-plan.ts";
import { RequestError } from "../util/errors.ts";
import { CutMedia, type SourceFacts } from "./cut-media.ts";
import { decodeImagePart, decodeVideoPart } from "./decode-media.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { type DecodedMedia, planMedia } from "./media-plan.ts";
import type { ImagePart, VideoPart } from "./parts.ts";
import type { Progress } from "./progress.ts";

export interface CutOptions {
  readonly image: ImageOptions;
  readonly signal: AbortSignal;
  readonly pace: () => Promise<void> | void;
  readonly onProgress: (progress: Progress) => void;
}

/** @throws RequestError, UnsupportedError when media cannot be read. */
export async function cutMedia(
  loaded: LoadedModel,
  parts: readonly (ImagePart | VideoPart)[],
  options: CutOptions,
): Promise<CutMedia> {
  const key = await keyOf(loaded, parts, options.image);
  const known = key === null ? null : loaded.mediaCache.get(key);
  if (known) {
    options.onProgress(decoded(parts.length, parts.length));
    return known;
  }
  const { media, videoSeconds } = await decodeAll(loaded, parts, options);
  const { config, framesAsImages } = loaded;
  const plan = planMedia(media, { image: options.image, normalization: config.pixels, framesAsImages });
  const sources = media.map((item): SourceFacts => {
    const { kind, width, height } = item;
    return { kind, width, height, frameSeconds: item.kind === "video" ? item.frameSeconds : null };
  });
  const cut = new CutMedia(plan, sources, videoSeconds);
  if (key !== null) loaded.mediaCache.add(key, cut);
  return cut;
}

/** Null when one of the parts has to be read to know what it is, or there is none. */
async function keyOf(
  { mediaCache }: LoadedModel,
  parts: readonly (ImagePart | VideoPart)[],
  image: ImageOptions,
): Promise<string | null> {
  if (parts.length === 0) return null;
  const keys: string[] = [];
  for (const part of parts) {
    const key = await mediaCache.keys.keyOf(part);
    if (key === null) return null;
    keys.push(key);
  }
  return [JSON.stringify(image), ...keys].join("\n");
}

function decoded(done: number, total: number): Progress {
  return { stage: "media", label: "media decoded", done, total };
}

async function decodeAll(
  { config, framesAsImages }: LoadedModel,
  parts: readonly (ImagePart | VideoPart)[],
  { image, signal, pace, onProgress }: CutOptions,
): Promise<{ media: DecodedMedia[]; videoSeconds: number | null }> {
  const pictures = parts.filter((part) => part.type === "image" || framesAsImages).length;
  // Large pictures that will be one tile become that tile at once. With one video as pictures the number is not known yet.
  const isOnePicture = isTiled(pictures, image);
  const shrinksFrames = framesAsImages ? !isOnePicture : !areFramesTiled(image);
  const media: DecodedMedia[] = [];
  let videoSeconds: number | null = null;
  for (const [index, part] of parts.entries()) {
    const label = `${part.type} ${index + 1} of the prompt`;
    if (part.type === "image") {
      const { width, height, ...rest } = await decodeImagePart(part, { label, signal });
      const whole = { width, height, ...rest };
      media.push({ kind: "image", image: isOnePicture ? whole : shrinkUntiled(whole, image), width, height });
    } else {
      const video = await decodeVideoPart(part, {
        label,
        signal,
        sampling: samplingOf(part, config.video),
        shrink: (frame) => (shrinksFrames ? shrinkUntiled(frame, image) : frame),
      });
      const { frames, width, height, frameSeconds } = video;
      if (frames.length === 0) throw new RequestError("video", `expected at least one frame in ${label}, got none`);
      media.push({ kind: "video", frames, width, height, frameSeconds });
      videoSeconds = video.durationSeconds;
    }
    onProgress(decoded(media.length, parts.length));
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
