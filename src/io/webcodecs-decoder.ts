/**
 * Video files through the optional package `@napi-rs/webcodecs`, for machines without ffmpeg: MP4, MOV, MKV and WebM with
 * H.264, H.265, VP8, VP9 or AV1. Its frames equal those of ffmpeg and OpenCV (version 1.3.1, every byte) but for what is
 * refused here: full-range and RGB streams, which it converts wrongly. It leaves the turning to us, see mp4-rotation.ts.
 */
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { messageOf, RequestError, UnsupportedError } from "../util/errors.ts";
import { untilAborted } from "../util/until-aborted.ts";
import { mp4Rotation } from "./mp4-rotation.ts";
import { rotateImage } from "./rotate-image.ts";
import type { OpenVideo, VideoLimits } from "./video-decoder.ts";
import type { VideoContainer } from "./video-format.ts";

/** What we use of the package. It is not installed with ours, so its types are restated. */
export interface WebCodecs {
  readonly Mp4Demuxer: DemuxerConstructor;
  readonly MkvDemuxer: DemuxerConstructor;
  readonly VideoDecoder: new (init: {
    output: (frame: DecodedFrame) => void;
    error: (error: Error) => void;
  }) => Decoder;
}
type DemuxerConstructor = new (init: { error: (error: Error) => void }) => Demuxer;
interface Demuxer extends AsyncIterable<{ readonly chunkType: string; readonly videoChunk?: Chunk }> {
  load(path: string): Promise<void>;
  readonly videoDecoderConfig: {
    readonly codec: string;
    readonly codedWidth: number;
    readonly codedHeight: number;
  } | null;
  close(): void;
}
interface Chunk {
  /** When it is shown, in microseconds. */
  readonly timestamp: number;
}
interface Decoder {
  readonly state: string;
  readonly decodeQueueSize: number;
  configure(config: object): void;
  decode(chunk: Chunk): void;
  flush(): Promise<void>;
  close(): void;
}
interface DecodedFrame {
  readonly codedWidth: number;
  readonly codedHeight: number;
  readonly colorSpace: { readonly matrix: string | null; readonly fullRange: boolean | null };
  allocationSize(options: { format: "RGBA" }): number;
  copyTo(target: Uint8Array, options: { format: "RGBA" }): Promise<unknown>;
  close(): void;
}

/** Kept out of the compiler's sight: the package need not be there. */
const PACKAGE: string = "@napi-rs/webcodecs";
const CODECS = /^(avc|hev|hvc|vp8|vp0?9|av0?1)/;
/** Chunks handed over before their frames came back. */
const MAX_QUEUE = 16;

/** The package, or null when it is not installed or not built for this machine. */
export async function loadWebCodecs(): Promise<WebCodecs | null> {
  try {
    return (await import(PACKAGE)) as WebCodecs;
  } catch {
    return null;
  }
}

/** True for what the package reads at all. Which codec a file holds shows when it is opened. */
export function webCodecsReads(container: VideoContainer): boolean {
  return container === "mp4" || container === "matroska";
}

/**
 * @param path Absolute.
 * @throws RequestError when the file is damaged or holds no video; UnsupportedError for codecs that the package lacks.
 */
export async function openWithWebCodecs(
  codecs: WebCodecs,
  path: string,
  container: VideoContainer,
  limits: VideoLimits,
): Promise<OpenVideo> {
  const { label, maxPixels, mapFrame = (frame) => frame } = limits;
  const turn = container === "mp4" ? await mp4Rotation(path) : 0;

  /** One run over the file: `stop` is aborted when its time is up or the caller has had enough. */
  async function withinLimits(run: (stop: AbortSignal) => Promise<void>): Promise<void> {
    const { signal, timeoutMs } = limits;
    signal?.throwIfAborted();
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal?.reason);
    const tooSlow = new RequestError("video", `${label} was not decoded within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => stop.abort(tooSlow), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await run(stop.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Hands each video chunk to `visit` until it returns false, and closes the file. */
  async function readChunks(
    stop: AbortSignal,
    visit: (chunk: Chunk, demuxer: Demuxer) => Promise<boolean> | boolean,
  ): Promise<void> {
    const Demuxer = container === "mp4" ? codecs.Mp4Demuxer : codecs.MkvDemuxer;
    const demuxer = new Demuxer({ error: () => {} }); // failures also reject below
    try {
      await demuxer.load(path);
      for await (const { videoChunk } of demuxer) {
        stop.throwIfAborted();
        if (videoChunk && !(await visit(videoChunk, demuxer))) break;
      }
    } catch (cause) {
      stop.throwIfAborted();
      if (cause instanceof RequestError || cause instanceof UnsupportedError) throw cause;
      throw new RequestError("video", `${label} is damaged or cut short: ${messageOf(cause).slice(0, 200)}`, { cause });
    } finally {
      demuxer.close();
    }
  }

  /** Decodes in order until `onFrame`, which owns the frame, returns false or the video ends. */
  async function decodeAll(stop: AbortSignal, onFrame: (frame: DecodedFrame) => boolean): Promise<void> {
    let isDone = false;
    const decoder = new codecs.VideoDecoder({
      output(frame) {
        if (isDone) frame.close();
        else isDone = !onFrame(frame);
      },
      // After an error it is closed and gives nothing more: the frames up to here count.
      error: () => {},
    });
    try {
      await readChunks(stop, async (chunk, demuxer) => {
        if (decoder.state === "unconfigured") {
          decoder.configure({ ...checkConfig(demuxer, label, maxPixels), hardwareAcceleration: "prefer-software" });
        }
        while (decoder.state === "configured" && decoder.decodeQueueSize >= MAX_QUEUE) {
          stop.throwIfAborted();
          await pause();
        }
        if (isDone || decoder.state !== "configured") return false;
        decoder.decode(chunk);
        return true;
      });
      if (!isDone && decoder.state === "configured")
        await untilAborted(
          decoder.flush().catch(() => {}),
          stop,
        );
    } finally {
      isDone = true;
      if (decoder.state !== "closed") decoder.close();
    }
  }

  let chunks = 0;
  let [firstUs, lastUs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [width, height] = [0, 0];
  await withinLimits((stop) =>
    readChunks(stop, ({ timestamp }, demuxer) => {
      if (chunks++ === 0) ({ codedWidth: width, codedHeight: height } = checkConfig(demuxer, label, maxPixels));
      firstUs = Math.min(firstUs, timestamp);
      lastUs = Math.max(lastUs, timestamp);
      return true;
    }),
  );
  if (chunks === 0) throw new RequestError("video", `expected moving pictures in ${label}, got a file without`);

  return {
    reportedFrames: chunks,
    width,
    height,
    fps: lastUs > firstUs ? nearestRate(((chunks - 1) * 1e6) / (lastUs - firstUs)) : null,
    async decode(indices) {
      const images: Promise<RgbImage>[] = [];
      let number = 0;
      const onFrame = (frame: DecodedFrame): boolean => {
        if (number++ === indices[images.length]) {
          const image = toRgb(frame, label, maxPixels).then((whole) => mapFrame(rotateImage(whole, turn)));
          image.catch(() => {}); // reported below, when all are awaited
          images.push(image);
        } else frame.close();
        return images.length < indices.length;
      };
      await withinLimits((stop) => decodeAll(stop, onFrame));
      return Promise.all(images);
    },
    async countFrames() {
      let frames = 0;
      const onFrame = (frame: DecodedFrame): boolean => {
        frame.close();
        return ++frames > 0;
      };
      await withinLimits((stop) => decodeAll(stop, onFrame));
      return frames;
    },
  };
}

function checkConfig(demuxer: Demuxer, label: string, maxPixels: number): NonNullable<Demuxer["videoDecoderConfig"]> {
  const config = demuxer.videoDecoderConfig;
  if (config === null) throw new RequestError("video", `expected moving pictures in ${label}, got a file without`);
  if (!CODECS.test(config.codec)) {
    throw new UnsupportedError(
      "video",
      `@napi-rs/webcodecs does not decode the codec of ${label}. You can install ffmpeg, which does`,
    );
  }
  checkSize(config.codedWidth, config.codedHeight, label, maxPixels);
  return config;
}

function checkSize(width: number, height: number, label: string, maxPixels: number): void {
  if (width * height > maxPixels || width * height === 0) {
    throw new RequestError(
      "video",
      `expected frames of at most ${maxPixels} pixels in ${label}, got ${width}×${height}`,
    );
  }
}

async function toRgb(frame: DecodedFrame, label: string, maxPixels: number): Promise<RgbImage> {
  try {
    const { codedWidth: width, codedHeight: height, colorSpace } = frame;
    checkSize(width, height, label, maxPixels);
    if (colorSpace.fullRange || colorSpace.matrix === "rgb") {
      throw new UnsupportedError(
        "video",
        `@napi-rs/webcodecs gives wrong colours for ${label} (full-range or RGB). You can install ffmpeg, which is right`,
      );
    }
    const rgba = new Uint8Array(frame.allocationSize({ format: "RGBA" }));
    await frame.copyTo(rgba, { format: "RGBA" });
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
      data[to] = rgba[from];
      data[to + 1] = rgba[from + 1];
      data[to + 2] = rgba[from + 2];
    }
    return { width, height, data };
  } finally {
    frame.close();
  }
}

/** Undoes the rounding of times to milli- or microseconds: whole rates, and those of television, n·1000/1001. */
function nearestRate(fps: number): number {
  const [whole, television] = [Math.round(fps), (Math.round(fps * 1.001) * 1000) / 1001];
  const nearest = Math.abs(whole - fps) <= Math.abs(television - fps) ? whole : television;
  return Math.abs(nearest - fps) < 4e-4 * fps ? nearest : fps; // the two lie 10e-4 apart
}

function pause(): Promise<void> {
  return new Promise((done) => setTimeout(done, 1));
}
