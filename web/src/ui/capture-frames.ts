/**
 * Small pictures of a video's sampled frames, made by the browser's own decoder at the seconds that the server reports. They show where
 * the model looked; the model's own pixels are decoded by the server. What the browser cannot decode stays blank.
 */
import type { MediaSeen } from "../model/types.ts";

const WIDTH = 160;
const SEEK_TIMEOUT_MS = 4000;

export interface CaptureOptions {
  /** The file and an address of it. */
  readonly blob: Blob;
  readonly url: string;
  readonly media: MediaSeen;
  readonly signal: AbortSignal;
  /** Called after each frame with all of them; null where there is none yet. */
  readonly onFrames: (pictures: readonly (string | null)[]) => void;
}

export async function captureFrames(options: CaptureOptions): Promise<void> {
  const { media, signal, onFrames, blob } = options;
  const pictures: (string | null)[] = Array.from({ length: media.tiles }, () => null);
  const source = blob.type.startsWith("video/") ? seekVideo(options) : decodeAnimation(options);
  try {
    for await (const [frame, picture] of source) {
      if (signal.aborted) return;
      pictures[frame] = picture;
      onFrames([...pictures]);
    }
  } catch {
    // A file that this browser cannot play: the frames keep their numbers and seconds.
  }
}

type Captured = readonly [frame: number, picture: string];

async function* seekVideo({ url, media, signal }: CaptureOptions): AsyncGenerator<Captured> {
  if (!media.frame_seconds) return;
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.src = url;
  await once(video, "loadeddata", signal);
  for (const [frame, seconds] of media.frame_seconds.entries()) {
    // A hair later than the frame's first moment, so that rounding does not show the frame before.
    video.currentTime = Math.min(seconds + 0.001, video.duration);
    await once(video, "seeked", signal);
    yield [frame, draw(video, video.videoWidth, video.videoHeight)];
  }
  video.removeAttribute("src");
}

/** GIF and WebP: all frames have numbers, so the ones nearest to the reported seconds are decoded. */
async function* decodeAnimation({ blob, media, signal }: CaptureOptions): AsyncGenerator<Captured> {
  if (typeof ImageDecoder === "undefined") return;
  const decoder = new ImageDecoder({ data: await blob.arrayBuffer(), type: blob.type });
  await decoder.tracks.ready;
  const count = decoder.tracks.selectedTrack?.frameCount ?? 0;
  const starts: number[] = [];
  for (let index = 0; index < count && !signal.aborted; index++) {
    const { image } = await decoder.decode({ frameIndex: index });
    starts.push(image.timestamp / 1e6);
    image.close();
  }
  for (let frame = 0; frame < media.tiles && !signal.aborted; frame++) {
    const seconds = media.frame_seconds?.[frame];
    const evenly = Math.round((frame * (count - 1)) / Math.max(1, media.tiles - 1));
    const frameIndex =
      seconds === undefined
        ? evenly
        : Math.max(
            0,
            starts.findLastIndex((start) => start <= seconds + 1e-3),
          );
    const { image } = await decoder.decode({ frameIndex });
    yield [frame, draw(image, image.displayWidth, image.displayHeight)];
    image.close();
  }
  decoder.close();
}

function draw(source: CanvasImageSource, width: number, height: number): string {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.max(1, Math.round((WIDTH * height) / width));
  canvas.getContext("2d")?.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.7);
}

function once(target: EventTarget, name: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { once: true, signal: AbortSignal.any([signal, AbortSignal.timeout(SEEK_TIMEOUT_MS)]) };
    target.addEventListener(name, () => resolve(), options);
    target.addEventListener("error", () => reject(new Error("cannot be played")), options);
    options.signal.addEventListener("abort", () => reject(options.signal.reason as Error), { once: true });
  });
}
