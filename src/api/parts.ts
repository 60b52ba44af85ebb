/**
 * What a user puts into a prompt: text, pictures, videos. These are plain descriptions; nothing is opened or decoded
 * until a model needs it.
 */

/** Pixels that are already decoded: [height, width, channels] bytes, row-major. Alpha is dropped, as in the original. */
export interface RawPixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** A path, an http(s), data or file URL, the bytes of a file, or decoded pixels. */
export type ImageSource = string | URL | Uint8Array | RawPixels;

/** A path (file or folder of frames), an http(s), data or file URL, the bytes of a file, or a list of pictures as frames. */
export type VideoSource = string | URL | Uint8Array | readonly ImageSource[];

/** Text of a prompt. A plain string means the same. */
export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** One picture of a prompt, made by `image(…)`. */
export interface ImagePart {
  readonly type: "image";
  readonly source: ImageSource;
  readonly exifRotate: boolean;
  /** Larger pictures are refused from their header. Default 200 million. */
  readonly maxPixels?: number;
  /** What messages call the picture. Default: its path or address, else its place in the prompt. */
  readonly label?: string;
}

/** One video of a prompt, made by `video(…)`. */
export interface VideoPart {
  readonly type: "video";
  readonly source: VideoSource;
  /** Frames to sample; null: `num_video_frames` of the checkpoint. */
  readonly frames: number | null;
  /** Frames per second to sample, 0: evenly over the whole; null: `fps` of the checkpoint. */
  readonly fps: number | null;
  /** Bound for one frame. Default 200 million. */
  readonly maxPixels?: number;
  /** What messages call the video. Default: its path or address, else its place in the prompt. */
  readonly label?: string;
}

/** One piece of a prompt; a plain string is text. */
export type Part = string | TextPart | ImagePart | VideoPart;

/**
 * A picture for a prompt.
 *
 * @param source Path, http(s)/data/file URL, file bytes, or raw pixels.
 * @param options.exifRotate Turn the picture upright by its EXIF orientation. Default false, as in the original.
 * @param options.maxPixels Refuse larger pictures. Default 200 million.
 * @param options.label What messages call it. Default: its path or address, else its place in the prompt.
 * @example
 * await model.generate([image("receipt.jpg"), "What is the total?"]);
 */
export function image(
  source: ImageSource,
  options: { exifRotate?: boolean; maxPixels?: number; label?: string } = {},
): ImagePart {
  const { exifRotate = false, ...rest } = options;
  return { type: "image", source, exifRotate, ...rest };
}

/**
 * A video for a prompt: a folder of frames, an animated GIF or WebP, a video file, or pictures in order.
 *
 * @param source Path, URL, file bytes, or a list of pictures.
 * @param options.frames Frames to sample. Default: `num_video_frames` of the checkpoint.
 * @param options.fps Frames per second to sample instead of an even spread; 0 means even. Default: `fps` of the checkpoint.
 * @param options.maxPixels Refuse larger frames. Default 200 million.
 * @param options.label What messages call it. Default: its path or address, else its place in the prompt.
 * @example
 * await model.generate([video("clip.gif", { frames: 8 }), "What happens?"]);
 */
export function video(
  source: VideoSource,
  options: { frames?: number; fps?: number; maxPixels?: number; label?: string } = {},
): VideoPart {
  const { frames = null, fps = null, ...rest } = options;
  return { type: "video", source, frames, fps, ...rest };
}

/** True for decoded pixels, as opposed to something to open. */
export function isRawPixels(source: ImageSource): source is RawPixels {
  return typeof source === "object" && "width" in source && "height" in source && "data" in source;
}
