/** Opens and decodes the media of a prompt. Knows the decoders, no tiles and no prompt text. */
import { DEFAULT_MAX_PIXELS, decodeImage } from "../io/image-file.ts";
import { openMedia } from "../io/media-source.ts";
import { readVideo } from "../io/video-file.ts";
import type { FrameSampling } from "../preprocess/frame-sampling.ts";
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { type ImagePart, type ImageSource, isRawPixels, type RawPixels, type VideoPart } from "./parts.ts";
import { rgbOfRawPixels } from "./raw-pixels.ts";

export interface DecodedVideo {
  readonly frames: readonly RgbImage[];
  /** Of a frame as it was decoded. */
  readonly width: number;
  readonly height: number;
  /** Null when the source has no clock: a folder or a list of pictures. */
  readonly durationSeconds: number | null;
  /** Where each frame lies; null as above. */
  readonly frameSeconds: readonly number[] | null;
}

export interface DecodeMediaOptions {
  /** What messages call media that have no name of their own: "image 2 of the prompt". */
  readonly label: string;
  readonly signal: AbortSignal;
}

/** @throws RequestError or UnsupportedError when the picture cannot be read. */
export async function decodeImagePart(part: ImagePart, { label, signal }: DecodeMediaOptions): Promise<RgbImage> {
  const { source, exifRotate, maxPixels = DEFAULT_MAX_PIXELS } = part;
  if (isRaw(source)) return rgbOfRawPixels(source, label);
  const media = await openMedia(source, { kind: "image", signal, ...nameOf(part, label) });
  try {
    return await decodeImage(media.data, { exifRotate, maxPixels, label: media.label });
  } finally {
    await media.close();
  }
}

/**
 * The sampled frames of a video, each passed through `shrink` as soon as it is decoded.
 *
 * @throws RequestError or UnsupportedError when the video cannot be read.
 */
export async function decodeVideoPart(
  part: VideoPart,
  options: DecodeMediaOptions & { readonly sampling: FrameSampling; readonly shrink: (frame: RgbImage) => RgbImage },
): Promise<DecodedVideo> {
  const { label, signal, sampling, shrink } = options;
  const source = isList(part.source)
    ? part.source.map((item, i) => (isRaw(item) ? rgbOfRawPixels(item, `frame ${i} of ${label}`) : item))
    : part.source;
  const { frames, width, height, durationSeconds, frameSeconds } = await readVideo(source, {
    sampling,
    signal,
    mapFrame: shrink,
    maxPixels: part.maxPixels,
    ...nameOf(part, label),
  });
  return { frames, width, height, durationSeconds, frameSeconds };
}

function isList(source: VideoPart["source"]): source is readonly ImageSource[] {
  return Array.isArray(source);
}

function isRaw(source: ImageSource): source is RawPixels {
  return typeof source === "object" && source !== null && isRawPixels(source);
}

/** Paths and URLs name themselves. */
function nameOf(part: ImagePart | VideoPart, label: string): { label?: string } {
  if (part.label !== undefined) return { label: part.label };
  return typeof part.source === "string" || part.source instanceof URL ? {} : { label };
}
