/**
 * Videos to the frames that a model looks at: a folder of pictures, a list of pictures, an animated GIF or WebP, or a
 * video file through the user's ffmpeg, else through the optional package @napi-rs/webcodecs. Which frames, and what
 * happens where a file claims frames that it does not have, is as in VILA llava/utils/media.py `_load_video` (b760c34).
 */
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  collectFrames,
  countDecodableFrames,
  type FrameSampling,
  sampleFrameIndices,
} from "../preprocess/frame-sampling.ts";
import { checkRgbImage, type RgbImage } from "../preprocess/rgb-image.ts";
import { messageOf, NvilaError, RequestError, UnsupportedError } from "../util/errors.ts";
import { openWithFfmpeg } from "./ffmpeg-decoder.ts";
import { findFfmpeg } from "./ffmpeg-process.ts";
import { type Animation, DEFAULT_MAX_PIXELS, decodeImage, openAnimation } from "./image-file.ts";
import { detectImageFormat } from "./image-format.ts";
import type { DownloadTiming } from "./media-download.ts";
import { asFile, type LocalMedia, type MediaSource, openMedia } from "./media-source.ts";
import type { OpenVideo, VideoLimits } from "./video-decoder.ts";
import { CONTAINER_HEAD_BYTES, detectVideoContainer, type VideoContainer } from "./video-format.ts";
import { loadWebCodecs, openWithWebCodecs, webCodecsReads } from "./webcodecs-decoder.ts";

/** A path (file or folder of frames), a file:, data: or http(s): URL, the bytes of a file, or pictures in order. */
export type VideoInput = MediaSource | readonly (MediaSource | RgbImage)[];

export interface ReadVideoOptions {
  readonly sampling: FrameSampling;
  /** What messages call the video. */
  readonly label?: string | undefined;
  /** Bound for one frame. Default 200 million. */
  readonly maxPixels?: number | undefined;
  /** Bound for all sampled frames together, which are in memory at once. Default 1500 million, 4.5 GB. */
  readonly maxTotalPixels?: number | undefined;
  /** Makes each frame smaller as soon as it is decoded, so that large ones are not in memory together. */
  readonly mapFrame?: ((frame: RgbImage) => RgbImage) | undefined;
  /** For each run of a decoder of video files; a video takes one to three. Default 15 minutes. */
  readonly timeoutMs?: number | undefined;
  /** How patient downloads are. */
  readonly download?: DownloadTiming | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VideoFrames {
  /** The sampled frames in order. A frame that was chosen twice is there twice: the same object. Never empty. */
  readonly frames: readonly RgbImage[];
  /** Frames of the whole video. */
  readonly frameCount: number;
  /** Null where frames have no times: folders, lists, stills. */
  readonly fps: number | null;
  /** frameCount / fps. */
  readonly durationSeconds: number | null;
  /** Where each of `frames` lies: its index / fps. Null where frames have no times. */
  readonly frameSeconds: readonly number[] | null;
  /** Of the first sampled frame, as it was decoded. */
  readonly width: number;
  readonly height: number;
}

const DEFAULT_MAX_TOTAL_PIXELS = 1.5e9;
const DEFAULT_TIMEOUT_MS = 900_000;

interface Limits extends VideoLimits {
  readonly sampling: FrameSampling;
  readonly mapFrame: (frame: RgbImage) => RgbImage;
  /** True when frames stay as they were decoded. */
  readonly keepsFrames: boolean;
  readonly maxTotalPixels: number;
  readonly download: DownloadTiming | undefined;
}

/**
 * @throws RequestError when nothing is there, a sampled frame is no picture, the file is damaged, holds no frames or is
 * too large; UnsupportedError when a video file cannot be decoded here; the signal's reason on abort.
 */
export async function readVideo(source: VideoInput, options: ReadVideoOptions): Promise<VideoFrames> {
  let size: { readonly width: number; readonly height: number } | null = null;
  const limits: Limits = {
    sampling: options.sampling,
    mapFrame: (frame) => {
      size ??= { width: frame.width, height: frame.height };
      return options.mapFrame?.(frame) ?? frame;
    },
    keepsFrames: options.mapFrame === undefined,
    label: options.label ?? "the video",
    maxPixels: options.maxPixels ?? DEFAULT_MAX_PIXELS,
    maxTotalPixels: options.maxTotalPixels ?? DEFAULT_MAX_TOTAL_PIXELS,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    download: options.download,
    signal: options.signal,
  };
  const video = await readSource(source, limits, options.label);
  return { ...video, ...(size ?? {}) };
}

async function readSource(source: VideoInput, limits: Limits, label: string | undefined): Promise<VideoFrames> {
  const { signal, download: timing } = limits;
  signal?.throwIfAborted();
  if (isList(source)) return readList(source, limits);
  const media = await openMedia(source, { kind: "video", label, timing, signal });
  try {
    return await readMedia(media, { ...limits, label: media.label });
  } finally {
    await media.close();
  }
}

function isList(source: VideoInput): source is readonly (MediaSource | RgbImage)[] {
  return Array.isArray(source);
}

async function readMedia(media: LocalMedia, limits: Limits): Promise<VideoFrames> {
  const head = typeof media.data === "string" ? await readHead(media.data, limits.label) : media.data;
  if (head === "folder") return readFolder(media.data as string, limits);
  if (head.length === 0) throw new RequestError("video", `expected a video in ${limits.label}, got an empty file`);
  // Before the containers: AVIF and HEIC pictures look like MP4, and the picture decoder says what to do with them.
  if (detectImageFormat(head) !== null) return readAnimation(media.data, limits);
  const container = detectVideoContainer(head);
  if (container !== null) return readContainer(media, container, limits);
  throw new RequestError(
    "video",
    `expected MP4, MOV, WebM, MKV, AVI, GIF, WebP or a folder of frames at ${limits.label}, got bytes of no known ` +
      "format. You can check that the file was downloaded completely",
  );
}

async function readHead(path: string, label: string): Promise<Uint8Array | "folder"> {
  let file: FileHandle | null = null;
  try {
    // A pipe or a device might never answer: nothing is opened before we know what it is.
    const status = await stat(path);
    if (status.isDirectory()) return "folder";
    if (!status.isFile()) throw new RequestError("video", `expected a file or folder, got something else: ${label}`);
    file = await open(path);
    const head = Buffer.alloc(Math.max(1024, CONTAINER_HEAD_BYTES));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new RequestError("video", `expected a readable video at ${label}, but ${reason}`, { cause: error });
  } finally {
    await file?.close();
  }
}

/**
 * Files sorted by path, names with a dot in front left out, spread evenly whatever `fps` says. KEEPS: every other entry
 * counts as a frame, whatever it is, and is an error only when it is chosen.
 */
async function readFolder(path: string, limits: Limits): Promise<VideoFrames> {
  const names = (await readdir(path)).filter((name) => !name.startsWith("."));
  if (names.length === 0) {
    throw new RequestError("video", `expected frames in the folder ${limits.label}, got no files`);
  }
  // By code points, as Python sorts: UTF-8 keeps their order, JavaScript's own comparison does not.
  const encoded = names.map((name) => ({ name, bytes: Buffer.from(name) }));
  encoded.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  return readEvenly(encoded.length, limits, (index) => {
    const file = join(path, encoded[index].name);
    return decodeImage(file, { maxPixels: limits.maxPixels, label: file });
  });
}

function readList(sources: readonly (MediaSource | RgbImage)[], limits: Limits): Promise<VideoFrames> {
  if (sources.length === 0) throw new RequestError("video", `expected frames in ${limits.label}, got an empty list`);
  return readEvenly(sources.length, limits, async (index) => {
    const source = sources[index];
    if (typeof source === "object" && "data" in source) {
      checkRgbImage(source);
      return source;
    }
    const { download: timing, signal, maxPixels } = limits;
    const media = await openMedia(source, { kind: "image", timing, signal });
    try {
      const label = source instanceof Uint8Array ? `frame ${index} of ${limits.label}` : media.label;
      return await decodeImage(media.data, { maxPixels, label });
    } finally {
      await media.close();
    }
  });
}

/** Frames without times. */
async function readEvenly(
  frameCount: number,
  limits: Limits,
  decode: (index: number) => Promise<RgbImage>,
): Promise<VideoFrames> {
  const indices = sampleFrameIndices(frameCount, { ...limits.sampling, fps: 0 }, 0);
  const budget = new PixelBudget(limits);
  const frames = await collectFrames(indices, async (index) => {
    limits.signal?.throwIfAborted();
    const frame = limits.mapFrame(await decode(index));
    budget.add(frame);
    return frame;
  });
  return videoFrames(frames, { frameCount, fps: null, indices }, limits);
}

async function readAnimation(data: string | Uint8Array, limits: Limits): Promise<VideoFrames> {
  const { label, maxPixels, signal, mapFrame } = limits;
  const animation = await openAnimation(data, { label, maxPixels });
  const { frameCount } = animation;
  if (frameCount === 1) return readEvenly(1, limits, () => animation.frame(0));
  const fps = (frameCount * 1000) / durationMs(animation);
  const indices = sampledIndices(frameCount, fps, limits);
  const decoded = new Map<number, RgbImage>();
  const budget = new PixelBudget(limits);
  budget.expect(new Set(indices).size, animation.width, animation.height);
  for await (const [index, frame] of animation.framesAt([...new Set(indices)])) {
    signal?.throwIfAborted();
    const mapped = mapFrame(frame);
    budget.add(mapped);
    decoded.set(index, mapped);
  }
  const frames = await collectFrames(indices, (index) => decoded.get(index) ?? null);
  return videoFrames(frames, { frameCount, fps, indices: indices.filter((index) => decoded.has(index)) }, limits);
}

/** KEEPS: a frame of less than 20 ms is shown for 100 ms, as players and the original's reader do. */
function durationMs({ frameCount, delaysMs }: Animation): number {
  const DEFAULT_DELAY_MS = 100;
  let total = 0;
  for (let i = 0; i < frameCount; i++) total += delaysMs[i] >= 20 ? delaysMs[i] : DEFAULT_DELAY_MS;
  return total;
}

async function readContainer(media: LocalMedia, container: VideoContainer, limits: Limits): Promise<VideoFrames> {
  const openFile = await findDecoder(container, limits);
  const file = await asFile(media);
  try {
    return await sampleVideo(await openFile(resolve(file.data)), limits);
  } finally {
    await file.close();
  }
}

/** ffmpeg comes first: it turns frames by the file's rotation, knows every codec, and cannot take us down with it. */
async function findDecoder(container: VideoContainer, limits: Limits): Promise<(path: string) => Promise<OpenVideo>> {
  const tools = await findFfmpeg();
  if (tools) return (path) => openWithFfmpeg(tools, path, container, limits);
  const codecs = webCodecsReads(container) ? await loadWebCodecs() : null;
  if (codecs) return (path) => openWithWebCodecs(codecs, path, container, limits);
  const advice = webCodecsReads(container)
    ? 'install ffmpeg (with ffprobe, on PATH), or "npm install @napi-rs/webcodecs"'
    : "install ffmpeg (with ffprobe, on PATH)";
  throw new UnsupportedError(
    "video",
    `no decoder for ${limits.label} is installed. You can ${advice}, or pass an animated GIF or WebP or a folder of frames`,
  );
}

async function sampleVideo(video: OpenVideo, limits: Limits): Promise<VideoFrames> {
  const sample = async (reportedFrames: number) => {
    const frameCount = await countDecodableFrames(reportedFrames, () => true, limits.label);
    const indices = sampledIndices(frameCount, video.fps, limits);
    const wanted = [...new Set(indices)];
    new PixelBudget(limits).expect(wanted.length, video.width, video.height);
    const decoded = await video.decode(wanted);
    const place = new Map(wanted.map((index, i) => [index, i]));
    const frameAt = (index: number): RgbImage | null => decoded[place.get(index) ?? -1] ?? null;
    const frames = await collectFrames(indices, frameAt);
    const kept = indices.filter((index) => frameAt(index) !== null);
    return { frames, frameCount, indices: kept, isWhole: decoded.length === wanted.length };
  };
  let sampled = await sample(video.reportedFrames);
  // Fewer frames than claimed: count what is there, and choose again.
  if (!sampled.isWhole) sampled = await sample(Math.min(video.reportedFrames, await video.countFrames()));
  const { frames, frameCount, indices } = sampled;
  return videoFrames(frames, { frameCount, fps: video.fps, indices }, limits);
}

function sampledIndices(frameCount: number, fps: number | null, { sampling, label }: Limits): number[] {
  if (sampling.fps > 0 && fps === null) {
    throw new RequestError(
      "video",
      `expected ${label} to state its frames per second, got none. You can sample evenly, without a rate`,
    );
  }
  return sampleFrameIndices(frameCount, sampling, fps ?? 0);
}

/** @param source.indices Of `frames`, one each. */
function videoFrames(
  frames: readonly RgbImage[],
  source: { readonly frameCount: number; readonly fps: number | null; readonly indices: readonly number[] },
  { label }: Limits,
): VideoFrames {
  const { frameCount, fps, indices } = source;
  if (frames.length === 0) {
    throw new RequestError("video", `expected at least one frame in ${label}, got none that can be decoded`);
  }
  const { width, height } = frames[0];
  const durationSeconds = fps === null ? null : frameCount / fps;
  const frameSeconds = fps === null ? null : indices.map((index) => index / fps);
  return { frames, frameCount, fps, durationSeconds, frameSeconds, width, height };
}

/** Refuses more pixels than may be in memory at once. */
class PixelBudget {
  readonly #limits: Limits;
  #pixels = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Before they are decoded. Nobody knows how small they will be made. */
  expect(frames: number, width: number, height: number): void {
    if (this.#limits.keepsFrames) this.#check(frames * width * height);
  }

  add({ width, height }: RgbImage): void {
    this.#pixels += width * height;
    this.#check(this.#pixels);
  }

  #check(pixels: number): void {
    const { label, maxTotalPixels } = this.#limits;
    if (pixels <= maxTotalPixels) return;
    throw new RequestError(
      "video",
      `expected at most ${maxTotalPixels / 1e6} megapixels in all sampled frames of ${label}, got ${pixels / 1e6}. ` +
        "You can sample fewer frames",
    );
  }
}
